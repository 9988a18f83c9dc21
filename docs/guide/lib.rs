//! Tests the code of the guide: each page is the documentation of a module.

macro_rules! pages {
    ($($page:ident: $file:literal,)*) => {
        $(
            #[doc = include_str!(concat!("src/", $file, ".md"))]
            mod $page {}
        )*
    };
}

pages! {
    from_channels: "from/channels",
    pitfalls: "pitfalls",
    two_queues: "two-queues",
}

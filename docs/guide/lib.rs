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

pages! {
    faces: "faces",
    getting_started: "getting-started",
    introduction: "introduction",
    production: "production",
    testing: "testing",
    the_end: "the-end",
    troubleshooting: "troubleshooting",
    work: "work",
}

#[cfg(feature = "redis")]
pages! {
    redis: "redis",
    redis_servers: "redis-servers",
    several_processes: "several-processes",
}

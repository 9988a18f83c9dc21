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
    introduction: "introduction",
    getting_started: "getting-started",
    faces: "faces",
    the_end: "the-end",
    work: "work",
    production: "production",
    testing: "testing",
    troubleshooting: "troubleshooting",
    pitfalls: "pitfalls",
    two_queues: "two-queues",
    from_channels: "from/channels",
}

#[cfg(feature = "redis")]
pages! {
    several_processes: "several-processes",
    redis: "redis",
    redis_servers: "redis-servers",
}

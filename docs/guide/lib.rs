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
    cookbook_crawler: "cookbook/crawler",
    cookbook_idempotent: "cookbook/idempotent",
    cookbook_mailer: "cookbook/mailer",
    cookbook_pipeline: "cookbook/pipeline",
    cookbook_progress: "cookbook/progress",
    cookbook_retries: "cookbook/retries",
    cookbook_timeouts: "cookbook/timeouts",
    cookbook_web_service: "cookbook/web-service",
    cookbook_websocket: "cookbook/websocket",
    from_channels: "from/channels",
    from_genstage: "from/genstage",
    from_python: "from/python",
    from_sidekiq: "from/sidekiq",
    from_sync_arbiter: "from/sync-arbiter",
    pitfalls: "pitfalls",
    two_queues: "two-queues",
}

pages! {
    asking: "asking",
    batches: "batches",
    faces: "faces",
    getting_started: "getting-started",
    introduction: "introduction",
    production: "production",
    testing: "testing",
    the_end: "the-end",
    threads: "threads",
    troubleshooting: "troubleshooting",
    work: "work",
}

#[cfg(feature = "redis")]
pages! {
    redis: "redis",
    redis_servers: "redis-servers",
    several_processes: "several-processes",
}

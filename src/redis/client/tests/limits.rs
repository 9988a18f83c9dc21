//! How large an item may be.

use super::server::with_redis_like;
use crate::redis::server::connection::largest_item;

#[test]
fn redis_tells_how_large_an_item_may_be() {
    with_redis_like(&["--proto-max-bulk-len", "3mb"], |server| async move {
        let pair = server.connect().await.into();
        assert_eq!(largest_item(&pair).await, (3 << 20) - 1024);
        let _: String = server.command(&["ACL", "SETUSER", "default", "-config|get"]).await;
        assert_eq!(
            largest_item(&pair).await,
            (512 << 20) - 1024,
            "a user that may not ask is taken to have the default"
        );
    });
}

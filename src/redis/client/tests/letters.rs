//! Dead letters that no reader has: listed, retried, discarded.

use std::collections::BTreeSet;

use super::server::with_redis;
use super::*;

/// A letter as a process writes it.
fn letter(item: &str) -> Vec<u8> {
    let reason = r#"{\"item\":0},\"item\":[\\"#;
    format!(
        r#"{{"id":0,"attempts":1,"reason":"{reason}","last_worker":"w","history":[{{"a":["}}"]}}],"text":null,"item":{item}}}"#
    )
    .into_bytes()
}

impl QueueClient {
    /// Puts these and gives them up.
    async fn bury(&self, first: u64, items: &[&str]) {
        assert_eq!(self.put(first, items).await.expect("put"), accepted(first + items.len() as u64 - 1));
        let held = self.take(items.len()).await;
        let ops: Vec<Op> = held.iter().map(|(id, _, item)| Op::Dead(*id, letter(item))).collect();
        assert_eq!(self.done(first, &ops).await, 0);
    }

    /// A process that reads the letters.
    async fn reader(&self, server: &TestServer, name: &str) -> QueueClient {
        let mut reader = self.letters(&Settings { max_attempts: u32::MAX, ..settings() });
        reader.reconnected(server.connect().await);
        assert_eq!(reader.rejoin(name).await.expect("joined"), Rejoined::Ok);
        reader
    }

    /// The attempts and the items of all that came back, in their order.
    async fn came_back(&self, server: &TestServer) -> Vec<(u32, String)> {
        let entries: Vec<Vec<u8>> = server.command(&["LRANGE", self.process.key(Key::Back), "0", "-1"]).await;
        let entries = entries.into_iter().map(Entry::parse);
        entries.map(|entry| (entry.attempts, String::from_utf8(entry.payload).expect("text"))).collect()
    }
}

/// Whatever JSON an item is.
const ITEMS: [&str; 8] = [
    "1",
    r#""\"}]{[\\""#,
    "[]",
    r#"{"item":{"item":[{}]}}"#,
    "123456789012345678901234567890.5",
    "null",
    r#"[[["\\\\\"",{"a":"}"}],[]],"",{}]"#,
    "\"\u{1f600}\\u0000\"",
];

#[test]
fn c6_a_retried_letter_is_in_the_queue_as_it_was_put_with_no_attempt_counted() {
    with_redis(|server| async move {
        let a = server.alone(&Settings { capacity: Some(8), ..settings() }).await;
        let b = server.join("b", &Settings { capacity: Some(8), ..settings() }).await;
        b.endpoints(0, 1).await;
        let [_, to_b] = b.channels();
        let mut messages = server.listen(std::slice::from_ref(&to_b)).await;
        let put = a.put(1, &ITEMS).await.expect("put");
        assert_eq!(put, PutReply::Accepted { last: 8, room: Some(0) });
        let held = a.take(8).await;
        let ops: Vec<Op> = held.iter().map(|(id, _, item)| Op::Dead(*id, letter(item))).collect();
        assert_eq!(a.done(1, &ops).await, 0);
        assert_eq!(b.claim(9, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
        // It is full, and does not refuse them.
        assert!(matches!(a.put(9, &["9"; 8]).await.expect("put"), PutReply::Accepted { last: 16, .. }));
        assert_eq!(server.heard(&mut messages, &to_b).await.len(), 1);
        b.take(8).await;
        assert_eq!(b.claim(9, HANDED).await.expect("claimed"), ClaimReply::Empty { next_due: None });
        assert_eq!(a.move_all(true, 0..=GREATEST_ID).await, 8);
        assert_eq!(server.heard(&mut messages, &to_b).await, ["items"]);
        assert_eq!(a.move_all(true, 0..=GREATEST_ID).await, 0);
        let items: Vec<_> = ITEMS.iter().map(|item| (0, (*item).to_owned())).collect();
        assert_eq!(a.came_back(&server).await, items);
        let r = a.checked().await;
        assert_eq!((r.accepted, r.dead, r.retried, r.back, r.letters), (24, 8, 8, 8, 0));
        // Before all that nobody was handed. That it is full by now does not matter either.
        a.put(17, &["17"; 8]).await.expect("put");
        assert_eq!(a.retry_letter("one", b"18").await.expect("retried"), None);
        assert_eq!(payloads(&a.take(10).await)[..9], [&["18"], &ITEMS[..]].concat());
    });
}

/// As a hand or another release may have written it.
#[test]
fn the_item_may_stand_first_and_a_letter_without_one_stays() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let ready = a.process.key(Key::LetterReady);
        for (id, item) in (1..).zip(ITEMS) {
            let entry = format!(r#"0:{id}:{{"item":{item},"attempts":1,"reason":"","last_worker":"","panic":null}}"#);
            let () = server.command(&["RPUSH", ready, &entry]).await;
        }
        let broken = [
            "hello",
            "0:20:",
            "0:21:{}",
            "0:22:[]",
            r#"0:24:{"item":"#,
            r#"0:25:{"a":"\"#,
            r#"0:26:{"reason":"item"}"#,
            "",
        ];
        for entry in broken {
            let () = server.command(&["RPUSH", ready, entry]).await;
        }
        let listed = a.list_all().await;
        assert_eq!(listed.iter().filter(|letter| letter.about.is_empty()).count(), broken.len());
        for (letter, item) in listed.iter().rev().zip(ITEMS) {
            let about: serde_json::Value = serde_json::from_slice(&letter.about).expect("JSON");
            assert!(about["item"].is_null() && about["attempts"] == 1);
            assert_eq!(letter.text, &item.as_bytes()[..item.len().min(9)]);
        }
        assert_eq!(a.move_all(true, 0..=GREATEST_ID).await, ITEMS.len());
        let items: Vec<_> = ITEMS.iter().map(|item| (0, (*item).to_owned())).collect();
        assert_eq!(a.came_back(&server).await, items);
        let left: BTreeSet<String> = server.command(&["LRANGE", ready, "0", "-1"]).await;
        assert_eq!(left, broken.map(str::to_owned).into());
        assert_eq!(a.move_all(false, 0..=GREATEST_ID).await, broken.len());
        a.checked().await;
    });
}

#[test]
fn d3_letters_have_numbers_that_grow_also_if_the_clock_is_set_back() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        a.bury(1, &["1"; 50]).await;
        let later = GREATEST_ID / 1000;
        let () = server.command(&["HSET", a.process.key(Key::LetterMeta), "last", &later.to_string()]).await;
        a.bury(51, &["51"; 50]).await;
        let reader = a.reader(&server, "r").await;
        reader.endpoints(0, 1).await;
        // A letter that a reader puts is a further one. That which it gives back keeps its number.
        let ids = server.letter_ids().await;
        let held = reader.take(2).await;
        let copy = Op::Child(letter("copy"));
        assert_eq!(
            reader.done(1, &[copy.clone(), copy, Op::Undo(held[0].0), failed(held[1].0, Duration::ZERO)]).await,
            0
        );
        let now: Vec<u64> = a.list_all().await.iter().map(|letter| letter.id).collect();
        assert_eq!(now.len(), 102);
        let ordered: BTreeSet<u64> = now.into_iter().collect();
        assert!(ordered.iter().take(100).eq(&ids) && ordered.len() == 102);
        assert_eq!(*ordered.last().expect("some"), later + 52);
        reader.checked().await;
    });
}

/// Of all lists, and at every place of each.
#[test]
fn d3_letters_are_retried_and_discarded_by_number() {
    for retry in [true, false] {
        with_redis(|server| async move {
            let a = server.alone(&settings()).await;
            let numbers: Vec<String> = (1..=900).map(|number| number.to_string()).collect();
            a.bury(1, &numbers.iter().map(String::as_str).collect::<Vec<_>>()).await;
            let mut left = server.letter_ids().await;
            let reader = a.reader(&server, "r").await;
            reader.endpoints(0, 1).await;
            let held = reader.take(700).await;
            let mut ops = vec![failed(held[600].0, Duration::from_secs(600)), failed(held[601].0, Duration::ZERO)];
            ops.extend(held[..600].iter().map(|(id, ..)| Op::Undo(*id)));
            assert_eq!(reader.done(1, &ops).await, 0);
            // 602 to 699 are the reader's.
            let held: BTreeSet<u64> = left.drain(602..700).collect();
            let mut random = fastrand::Rng::new();
            let mut moved = 0;
            while !left.is_empty() {
                let from = random.usize(0..left.len());
                let to = (from + random.usize(0..90)).min(left.len() - 1);
                // What the reader has in between is not touched.
                let some = a.move_all(retry, left[from]..=left[to]).await;
                assert_eq!(some, to - from + 1);
                left.drain(from..=to);
                moved += some;
                let listed: BTreeSet<u64> = a.list_all().await.iter().map(|letter| letter.id).collect();
                assert!(listed.iter().eq(&left), "{from} to {to}");
                reader.checked().await;
            }
            let r = a.checked().await;
            let expected = if retry { (1702, 802, 802) } else { (900, 0, 0) };
            assert_eq!((moved, (r.accepted, r.retried, r.back)), (802, expected));
            assert_eq!(reader.checked().await.in_flight, held.len() as u64);
        });
    }
}

#[test]
fn a_call_is_bounded_in_number_and_in_bytes() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        let large = format!("\"{}\"", "x".repeat(300_000));
        for number in 1..=10 {
            a.bury(number, &[&large]).await;
        }
        let new = LetterPlace::first(GREATEST_ID);
        let (page, next) = a.list_letters(new, usize::MAX, 9).await.expect("listed");
        assert!(page.len() < 8 && next.is_some(), "{}", page.len());
        let ids = 0..=GREATEST_ID;
        let Moved::Some { letters, next, .. } = a.move_letters(true, &ids, new).await.expect("moved") else { panic!() };
        assert!((1..8).contains(&letters) && next.is_some(), "{letters}");
        // Made again, as its answer was lost.
        let Moved::Some { letters: again, .. } = a.move_letters(true, &ids, new).await.expect("moved") else {
            panic!()
        };
        assert_eq!(letters + again + a.move_all(true, ids).await, 10);
        assert_eq!(a.came_back(&server).await.len(), 10);
    });
}

#[test]
fn d3_after_the_end_nothing_is_retried_and_the_letters_stay() {
    for aborted in [true, false] {
        with_redis(|server| async move {
            let a = server.alone(&settings()).await;
            a.bury(1, &["1", "2", "3"]).await;
            if aborted {
                a.abort().await.expect("aborted");
            } else {
                a.seal().await.expect("sealed");
                // It has a producer, so it has not ended, and takes an item back.
                let ids = server.letter_ids().await;
                assert_eq!(a.move_all(true, ids[0]..=ids[0]).await, 1);
                a.endpoints(0, 1).await;
                assert_eq!(a.checked().await.ended, None);
                assert_eq!(a.retry_letter("one", b"4").await.expect("retried"), None);
                let items = a.take(9).await;
                a.ack_all(9, &items).await;
            }
            let end = if aborted { QueueEnd::Aborted } else { QueueEnd::Complete };
            let r = a.checked().await;
            assert_eq!((r.ended, r.acked), (Some(end), if aborted { 0 } else { 2 }));
            let ids = 0..=GREATEST_ID;
            let refused = a.move_letters(true, &ids, LetterPlace::first(GREATEST_ID)).await.expect("an answer");
            assert!(matches!(refused, Moved::Ended(how) if how == end), "{refused:?}");
            assert_eq!(a.retry_letter("another", b"4").await.expect("an answer"), Some(end));
            let now = a.checked().await;
            assert_eq!((now.accepted, now.retried, now.back, now.letters), (r.accepted, r.retried, 0, r.letters));
            let left = if aborted { 3 } else { 2 };
            assert_eq!(a.list_all().await.len(), left);
            // It leads to none of its keys any more.
            let () = server.command(&["DEL", a.process.key(Key::Meta)]).await;
            let gone = a.move_letters(true, &ids, LetterPlace::first(GREATEST_ID)).await;
            assert!(matches!(gone, Err(Failure::Gone)), "{gone:?}");
            assert!(matches!(a.retry_letter("another", b"4").await, Err(Failure::Gone)));
            assert_eq!(a.move_all(false, ids).await, left);
        });
    }
}

#[test]
fn d3_a_letter_from_a_readers_hand_is_put_once() {
    with_redis(|server| async move {
        let a = server.alone(&settings()).await;
        for _ in 0..3 {
            assert_eq!(a.retry_letter("one", b"1").await.expect("retried"), None);
        }
        assert_eq!(a.retry_letter("another", b"1").await.expect("retried"), None);
        assert_eq!(a.came_back(&server).await.len(), 2);
        let r = a.checked().await;
        assert_eq!((r.accepted, r.retried, r.back), (2, 2, 2));
        // Answers that were lost are told also after the end, and forgotten in time.
        a.abort().await.expect("aborted");
        assert_eq!(a.retry_letter("one", b"1").await.expect("an answer"), None);
        assert_eq!(a.checked().await.retried, 2);
    });
}

/// Every key in turn is of a foreign type. Calls fail then, before they have changed anything.
#[test]
fn a_key_of_a_foreign_type_loses_no_letter() {
    for key in Key::ALL {
        with_redis(|server| async move {
            let a = server.alone(&settings()).await;
            a.bury(1, &["1", "2", "3", "4", "5", "6"]).await;
            let reader = a.reader(&server, "r").await;
            reader.endpoints(0, 1).await;
            let held = reader.take(3).await;
            let ops = [Op::Undo(held[0].0), failed(held[1].0, Duration::from_secs(600))];
            assert_eq!(reader.done(1, &ops).await, 0);
            server.silence(&reader).await;
            let other = a.reader(&server, "o").await;
            other.clear_up().await;
            let lists = [Key::LetterSuspects, Key::LetterBack, Key::LetterReady].map(|key| a.process.key(key));
            for list in lists {
                assert!(server.command::<u64>(&["LLEN", list]).await > 0, "{list}");
            }
            let (name, kept) = (a.process.key(*key), "kept");
            let there: bool = server.command(&["EXISTS", name]).await;
            if there {
                let () = server.command(&["RENAME", name, kept]).await;
            }
            let () = server.command(&["SET", name, "x"]).await;
            let mut moved = 0;
            let mut place = Some(LetterPlace::first(GREATEST_ID));
            while let Some(here) = place {
                let _ = a.list_letters(here, 9, 9).await;
                place = match a.move_letters(true, &(0..=GREATEST_ID), here).await {
                    Ok(Moved::Some { letters, next, .. }) => {
                        moved += letters;
                        next
                    }
                    Ok(ended) => panic!("{ended:?}"),
                    Err(_) => here.next_list(),
                };
            }
            let one = a.retry_letter("one", b"7").await.is_ok();
            let () = server.command(&["DEL", name]).await;
            if there {
                let () = server.command(&["RENAME", kept, name]).await;
            }
            if !one {
                assert_eq!(a.retry_letter("one", b"7").await.expect("retried"), None);
            }
            assert_eq!(moved + a.move_all(true, 0..=GREATEST_ID).await, 6, "{}", key.name());
            let items: BTreeSet<String> = a.came_back(&server).await.into_iter().map(|(_, item)| item).collect();
            assert!(items.iter().eq(["1", "2", "3", "4", "5", "6", "7"]), "{}: {items:?}", key.name());
            let r = a.report().await.expect("a report");
            if !matches!(key, Key::Meta) {
                assert_eq!((r.accepted, r.retried, r.dead), (13, 7, 6), "{}", key.name());
            }
        });
    }
}

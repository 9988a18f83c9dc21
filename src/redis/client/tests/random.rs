//! Random sequences of calls of several processes. Nothing is lost, nothing doubled, and every queue ends.

use std::collections::BTreeMap;

use super::server::with_redis;
use super::*;

/// One process as its driver would keep it.
struct Peer {
    client: QueueClient,
    next_put: u64,
    next_batch: u64,
    /// Delivery id to item.
    held: BTreeMap<u64, String>,
    producers: usize,
}

/// What is known from outside.
#[derive(Default)]
struct Books {
    confirmed: u64,
    /// How many times each item was settled for good.
    settled: BTreeMap<String, u32>,
    dead: u64,
    retried: u64,
}

struct Run {
    server: TestServer,
    random: fastrand::Rng,
    settings: Settings,
    peers: Vec<Peer>,
    ledger: Books,
    processes: u32,
    sealed: bool,
}

impl Run {
    fn chance(&mut self, one_in: u32) -> bool {
        self.random.u32(0..one_in) == 0
    }

    async fn join(&mut self) {
        self.processes += 1;
        let client = self.server.join(&format!("p{}", self.processes), &self.settings).await;
        // The first one stays, and keeps its producer: the queue is not to end before the test does.
        let producers = if self.processes == 1 { 1 } else { self.random.usize(0..3) };
        let registered = client.register(producers, 1, true, &[]).await.expect("registered");
        assert_eq!(registered == Registered::Sealed { producers: 0 }, self.sealed && producers > 0);
        let producers = if registered == Registered::Ok { producers } else { 0 };
        self.peers.push(Peer { client, next_put: 1, next_batch: 1, held: BTreeMap::new(), producers });
    }

    async fn step(&mut self) {
        let index = self.random.usize(0..self.peers.len());
        match self.random.u32(0..100) {
            0..25 => self.put(index).await,
            25..50 => self.claim(index).await,
            50..85 => self.settle(index).await,
            85..88 => drop(self.peers[index].client.renew(HANDED).await.expect("renewed")),
            88..90 => self.retry(index).await,
            90..93 => {
                let server = &self.server;
                let peer = &mut self.peers[index];
                peer.client.reconnected(server.connect().await);
                let attached = peer.client.attach().await.expect("attached");
                assert_eq!((attached.last_put, attached.last_batch), (peer.next_put - 1, peer.next_batch - 1));
                let held = peer.client.in_flight().await.expect("what it holds");
                assert!(held.iter().eq(peer.held.keys()));
            }
            93..95 if self.peers.len() < 6 => self.join().await,
            95..97 if index > 0 => {
                let peer = self.peers.swap_remove(index);
                while peer.client.leave().await.expect("left") {}
            }
            97..99 if index > 0 => {
                let peer = self.peers.swap_remove(index);
                self.server.silence(&peer.client).await;
                self.peers[0].client.clear_up().await;
                assert!(matches!(peer.client.claim(1, HANDED).await, Err(Failure::Fenced)));
            }
            99 if !self.sealed && self.chance(4) => {
                self.peers[index].client.seal().await.expect("sealed");
                self.sealed = true;
            }
            _ => {}
        }
        self.peers[0].client.checked().await;
        let keys: String = self.server.command(&["INFO", "keyspace"]).await;
        assert!(keys.contains(",expires=0,"), "the queue is open: {keys}");
    }

    async fn put(&mut self, index: usize) {
        let count = self.random.u64(1..20);
        let twice = self.chance(4);
        let peer = &mut self.peers[index];
        let items: Vec<String> = (peer.next_put..peer.next_put + count)
            .map(|number| format!("\"{}-{number}\"", peer.client.process_id()))
            .collect();
        let first = peer.next_put;
        for _ in 0..=u8::from(twice) {
            let last = match peer.client.put(first, &items).await.expect("put") {
                PutReply::Accepted { last, .. } | PutReply::Full(last) if peer.producers > 0 => last,
                PutReply::Closed if peer.producers == 0 => return,
                other => panic!("{other:?} for {} producers", peer.producers),
            };
            self.ledger.confirmed += last + 1 - peer.next_put;
            peer.next_put = last + 1;
        }
    }

    async fn claim(&mut self, index: usize) {
        let max = self.random.usize(1..30);
        let peer = &mut self.peers[index];
        for (id, attempts, item) in peer.client.take(max).await {
            assert!(attempts < self.settings.max_attempts);
            assert_eq!(self.ledger.settled.get(&item), None, "{item} was settled and came again");
            assert_eq!(peer.held.insert(id, item), None);
        }
    }

    /// Some dead letters, or all.
    async fn retry(&mut self, index: usize) {
        let ids: Vec<u64> = self.server.letter_ids().await;
        let (all, some) = (self.chance(2), [(); 2].map(|()| self.random.choice(&ids).copied().unwrap_or(0)));
        let ids = if all { 0..=GREATEST_ID } else { some[0].min(some[1])..=some[0].max(some[1]) };
        let before = self.server.letters().await;
        let moved = self.peers[index].client.move_all(true, ids).await;
        let after = self.server.letters().await;
        assert_eq!(before.len(), after.len() + moved);
        for letter in before.into_iter().filter(|letter| !after.contains(letter)) {
            let item = letter["item"].to_string();
            assert_eq!(self.ledger.settled.remove(&item), Some(1), "{item}");
        }
        self.ledger.retried += moved as u64;
    }

    async fn settle(&mut self, index: usize) {
        let Self { random, peers, ledger, .. } = self;
        let peer = &mut peers[index];
        let count = random.usize(0..=peer.held.len());
        let mut ops = Vec::new();
        for _ in 0..count {
            let Some((id, item)) = peer.held.pop_first() else { break };
            let settled = matches!(random.u32(0..10), 0..7);
            if settled {
                *ledger.settled.entry(item.clone()).or_default() += 1;
            }
            ops.push(match (settled, random.u32(0..3)) {
                (true, 0) => Op::Ack(id),
                (true, 1) => Op::Taken(id),
                (true, _) => {
                    ledger.dead += 1;
                    Op::Dead(id, format!("{{\"item\":{item}}}").into_bytes())
                }
                (false, 0) => Op::Undo(id),
                (false, _) => failed(id, Duration::from_millis(random.u64(0..3))),
            });
        }
        if random.u32(0..5) == 0 && !peer.held.is_empty() {
            ledger.confirmed += 1;
            ops.push(Op::Child(format!("\"child {} {}\"", peer.client.process_id(), peer.next_batch).into_bytes()));
        }
        for _ in 0..random.u32(1..3) {
            assert_eq!(peer.client.done(peer.next_batch, &ops).await, 0);
        }
        peer.next_batch += 1;
    }
}

async fn run(server: TestServer, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let capacity = random.bool().then(|| random.usize(1..60));
    // Redelivered too often for a bound of attempts to be out of the way.
    let settings = Settings { capacity, max_attempts: 1_000_000, ..settings() };
    let ledger = Books::default();
    let mut run = Run { server, random, settings, peers: vec![], ledger, processes: 0, sealed: false };
    run.join().await;
    run.join().await;
    for _ in 0..1_500 {
        run.step().await;
    }
    // The end: nothing more comes, and one process does what is left.
    let first = run.peers.swap_remove(0);
    for peer in run.peers.drain(..) {
        while peer.client.leave().await.expect("left") {}
    }
    first.client.seal().await.expect("sealed");
    first.client.endpoints(0, 1).await;
    run.peers.push(first);
    loop {
        match run.peers[0].client.claim(1, HANDED).await.expect("claimed") {
            ClaimReply::Items { first, entries } => {
                for (id, entry) in (first..).zip(entries) {
                    run.peers[0].held.insert(id, String::from_utf8(entry.payload).expect("text"));
                }
            }
            ClaimReply::Empty { .. } if run.peers[0].held.is_empty() => {}
            ClaimReply::Empty { .. } => run.settle(0).await,
            ClaimReply::Ended => break,
        }
    }
    let r = run.peers[0].client.checked().await;
    assert_eq!((r.ended, r.accepted), (Some(QueueEnd::Complete), run.ledger.confirmed + run.ledger.retried));
    assert_eq!((r.dead, r.retried), (run.ledger.dead, run.ledger.retried));
    assert_eq!(run.ledger.settled.len() as u64, run.ledger.confirmed, "every item came out");
    assert!(run.ledger.settled.values().all(|times| *times == 1), "and once");
}

#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let first = fastrand::u64(..1_000_000);
    for seed in first..first + 4 {
        println!("seed {seed}");
        with_redis(|server| run(server, seed));
    }
}

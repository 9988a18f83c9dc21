//! A network between a client and Redis that fails as it is told.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use support::redis_server::url;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to Redis.
    Requests,
    /// From Redis to the client.
    Replies,
}

/// Passes on what it is sent. It ends, and cuts everything, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    mislead: Option<(usize, u16)>,
    refusing: bool,
    ended: bool,
    /// How many bytes still pass that way before a connection is cut.
    tear: Option<(Way, usize)>,
    /// With that connection everything else is cut, too.
    cut_off: bool,
    tears: usize,
    /// How many bytes pass in a second each way, of all connections together; and until when that is used up.
    rate: Option<u64>,
    used: [Instant; 2],
    last_id: usize,
    /// The two sides of each connection.
    open: HashMap<usize, [TcpStream; 2]>,
}

impl Proxy {
    /// In front of the Redis at this port.
    pub fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the proxy");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Mutex::new(Shared {
            upstream,
            mislead: None,
            refusing: false,
            ended: false,
            tear: None,
            cut_off: false,
            tears: 0,
            rate: None,
            used: [Instant::now(); 2],
            last_id: 0,
            open: HashMap::new(),
        }));
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for client in listener.incoming() {
                    if locked(&shared).ended {
                        return;
                    }
                    client.into_iter().for_each(|client| connect(&shared, client));
                }
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Cuts one connection: the one to which the byte belongs that comes after so many more this way. That byte and
    /// those behind it are swallowed. So 0 replies means that Redis has done what nobody is told.
    pub fn tear(&self, way: Way, after: usize) {
        locked(&self.shared).tear = Some((way, after));
    }

    /// The same, and there is no way back until `accept`.
    pub fn cut_off(&self, way: Way, after: usize) {
        let mut shared = locked(&self.shared);
        (shared.tear, shared.cut_off) = (Some((way, after)), true);
    }

    /// How many connections were cut by `tear`.
    pub fn tears(&self) -> usize {
        locked(&self.shared).tears
    }

    /// How many connections there are now.
    pub fn connections(&self) -> usize {
        locked(&self.shared).open.len()
    }

    /// The connections of now, each by a number of its own.
    pub fn numbers(&self) -> BTreeSet<usize> {
        locked(&self.shared).open.keys().copied().collect()
    }

    /// Of the connections to come, the one behind so many others goes to another server.
    pub fn mislead(&self, behind: usize, upstream: u16) {
        locked(&self.shared).mislead = Some((behind, upstream));
    }

    /// Whether a connection has gone there.
    pub fn has_misled(&self) -> bool {
        locked(&self.shared).mislead.is_none()
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        locked(&self.shared).cut();
    }

    /// Cuts all connections, and takes no new ones until `accept`.
    pub fn refuse(&self) {
        let mut shared = locked(&self.shared);
        shared.refusing = true;
        shared.cut();
    }

    pub fn accept(&self) {
        locked(&self.shared).refusing = false;
    }

    /// From now on so many bytes pass in a second each way. Connections share them fairly.
    pub fn slow_down(&self, rate: u64) {
        locked(&self.shared).rate = Some(rate);
    }

    /// New connections go to another server; those of now stay.
    pub fn lead_to(&self, upstream: u16) {
        locked(&self.shared).upstream = upstream;
    }

    /// Cuts all connections; new ones go to another server.
    pub fn switch(&self, upstream: u16) {
        let mut shared = locked(&self.shared);
        shared.upstream = upstream;
        shared.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut shared = locked(&self.shared);
        shared.ended = true;
        shared.cut();
        drop(shared);
        let _ = TcpStream::connect(("127.0.0.1", self.port)); // wakes the listener
    }
}

impl Shared {
    fn cut(&mut self) {
        self.open.drain().for_each(|(_, sides)| shut(&sides));
    }

    /// How long these bytes take.
    fn takes(&mut self, way: Way, bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let (used, now) = (&mut self.used[way as usize], Instant::now());
        *used = (*used).max(now) + Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate);
        used.duration_since(now)
    }

    /// How many of these bytes pass; fewer than all means that the connection is to be cut.
    fn pass(&mut self, way: Way, bytes: usize) -> usize {
        match &mut self.tear {
            Some((torn, after)) if *torn == way => {
                if *after < bytes {
                    let passes = *after;
                    self.tear = None;
                    self.tears += 1;
                    if std::mem::take(&mut self.cut_off) {
                        self.refusing = true;
                        self.cut();
                    }
                    return passes;
                }
                *after -= bytes;
                bytes
            }
            _ => bytes,
        }
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no panic while it is held")
}

fn shut(sides: &[TcpStream]) {
    for side in sides {
        let _ = side.shutdown(Shutdown::Both);
    }
}

/// Returns without a connection where it is refused, or the server is not there: then the client's side is dropped.
fn connect(shared: &Arc<Mutex<Shared>>, client: TcpStream) {
    let (aside, upstream, refusing) = {
        let mut shared = locked(shared);
        let aside = shared.mislead.take_if(|(behind, _)| *behind == 0).map(|(_, upstream)| upstream);
        shared.mislead.iter_mut().for_each(|(behind, _)| *behind -= 1);
        (aside, shared.upstream, shared.refusing)
    };
    if refusing {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", aside.unwrap_or(upstream))) else { return };
    let copy = |side: &TcpStream| side.try_clone().expect("a second handle of a connection");
    for side in [&client, &server] {
        side.set_nodelay(true).expect("it is a connection");
    }
    let id = {
        let mut shared = locked(shared);
        if shared.refusing || shared.ended || shared.upstream != upstream {
            return; // since we looked
        }
        shared.last_id += 1;
        let id = shared.last_id;
        shared.open.insert(id, [copy(&client), copy(&server)]);
        id
    };
    let ways = [(Way::Requests, copy(&client), copy(&server)), (Way::Replies, server, client)];
    for (way, from, to) in ways {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            pump(&shared, way, &from, &to);
            locked(&shared).open.remove(&id);
            shut(&[from, to]);
        });
    }
}

fn pump(shared: &Mutex<Shared>, way: Way, mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        // In turns with other connections, where it is slow.
        let most = if locked(shared).rate.is_some() { 1 << 12 } else { buffer.len() };
        let Ok(bytes @ 1..) = from.read(&mut buffer[..most]) else { return };
        let (passes, takes) = {
            let mut shared = locked(shared);
            (shared.pass(way, bytes), shared.takes(way, bytes))
        };
        thread::sleep(takes);
        if to.write_all(&buffer[..passes]).is_err() || passes < bytes {
            return;
        }
    }
}

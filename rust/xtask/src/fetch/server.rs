//! A web server on the loopback interface that can do what archives do on their bad days.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is answered to a request.
#[derive(Clone)]
pub(super) enum Answer {
    /// The file, whole.
    File(Vec<u8>),
    /// The file's length, then half of it, then the end.
    Cut(Vec<u8>),
    /// Nothing, for as long as the server lives.
    Stall,
    /// The file's length, then a byte now and then: a server that is never silent for long.
    Drip(Vec<u8>),
}

#[derive(Default)]
struct State {
    /// By path; all other paths are not found.
    files: Mutex<BTreeMap<String, Answer>>,
    /// The paths that were asked for.
    asked: Mutex<Vec<String>>,
    closing: AtomicBool,
}

/// The server; it ends when this is dropped.
pub(super) struct Server {
    state: Arc<State>,
    url: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.closing.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { state, url }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers requests for `path`, which has no slash in front.
    pub(super) fn put(&self, path: &str, answer: Answer) {
        let path = format!("/{path}");
        self.state.files.lock().unwrap().insert(path, answer);
    }

    pub(super) fn remove(&self, path: &str) {
        let path = format!("/{path}");
        self.state.files.lock().unwrap().remove(&path);
    }

    /// How often paths that end so were asked for.
    pub(super) fn asked(&self, end: &str) -> usize {
        let asked = self.state.asked.lock().unwrap();
        asked.iter().filter(|path| path.ends_with(end)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.closing.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

impl State {
    /// Answers one request; the client has to connect again for the next.
    fn serve(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let Some(Ok(request)) = lines.next() else {
            return;
        };
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        let path = path.replace("%2b", "+").replace("%7e", "~");
        self.asked.lock().unwrap().push(path.clone());
        let answer = self.files.lock().unwrap().get(&path).cloned();
        // A client that has gone is no matter of the server's.
        let _ = match answer {
            None => stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
            Some(Answer::File(body)) => send(&mut stream, body.len(), &body),
            Some(Answer::Cut(body)) => send(&mut stream, body.len(), &body[..body.len() / 2]),
            Some(Answer::Stall) => {
                self.wait_for_end(&mut stream, None);
                Ok(())
            }
            Some(Answer::Drip(body)) => {
                let sent = send(&mut stream, body.len(), &[]);
                self.wait_for_end(&mut stream, Some(b'x'));
                sent
            }
        };
    }

    /// Keeps a connection open until the client or the server ends, with a byte every half second.
    fn wait_for_end(&self, stream: &mut TcpStream, byte: Option<u8>) {
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        while !self.closing.load(Ordering::Relaxed) {
            if stream.read(&mut [0]).is_ok_and(|count| count == 0)
                || byte.is_some_and(|byte| stream.write_all(&[byte]).is_err())
            {
                return;
            }
        }
    }
}

fn send(stream: &mut TcpStream, length: usize, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

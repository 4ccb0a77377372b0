//! An HTTP server that records its requests and sends the given answers.

use super::certificates;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What one connection gets.
#[derive(Clone)]
pub enum Answer {
    /// Status, further headers, body.
    Http(u16, Vec<(&'static str, String)>, String),
    /// The status, and in the body everything that was sent.
    Echo(u16),
    /// These bytes and the end of the connection.
    Raw(&'static [u8]),
    /// Nothing at all, for longer than anybody waits.
    Silence,
    /// A head that promises a body, then one byte of it after another, each after a while.
    Trickle,
    /// Takes the connection and closes it before anything is sent.
    Hangup,
}

pub fn ok(body: &str) -> Answer {
    Answer::Http(200, vec![], body.to_owned())
}

pub fn status(code: u16) -> Answer {
    Answer::Http(code, vec![], String::new())
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// It listens until the test process ends.
pub struct Server {
    pub port: u16,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the connections in the order of `answers`, and further ones as the last.
    pub fn plain(answers: Vec<Answer>) -> Self {
        Self::start("http", None, answers)
    }

    /// The same over TLS.
    pub fn tls(answers: Vec<Answer>) -> Self {
        Self::start("https", Some(certificates::server_config()), answers)
    }

    /// The same with a certificate that signs itself.
    pub fn self_signed(answers: Vec<Answer>) -> Self {
        Self::start("https", Some(certificates::self_signed_config()), answers)
    }

    fn start(scheme: &'static str, tls: Option<Arc<ServerConfig>>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = requests.clone();
        thread::spawn(move || {
            let mut answers: VecDeque<Answer> = answers.into();
            for stream in listener.incoming() {
                let answer = match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.pop_front().unwrap(),
                };
                let (record, tls, stream) = (record.clone(), tls.clone(), stream.unwrap());
                thread::spawn(move || match tls {
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        serve(StreamOwned::new(connection, stream), &answer, &record);
                    }
                    None => serve(stream, &answer, &record),
                });
            }
        });
        Self { port, scheme, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request that there was.
    pub fn only(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

fn serve<S: Read + Write>(stream: S, answer: &Answer, record: &Mutex<Vec<Request>>) {
    if matches!(answer, Answer::Hangup) {
        return;
    }
    let mut stream = BufReader::new(stream);
    // A client that gave up, or that does not trust the certificate, sends no request.
    let Some((request, raw)) = read(&mut stream) else {
        return;
    };
    record.lock().unwrap().push(request);
    let _ = write(stream.get_mut(), answer, &raw);
}

fn read<S: Read>(stream: &mut BufReader<S>) -> Option<(Request, String)> {
    let mut raw = String::new();
    while !raw.ends_with("\r\n\r\n") {
        if stream.read_line(&mut raw).ok()? == 0 {
            return None;
        }
    }
    let mut lines = raw.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut request = Request { method, target, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    let raw = format!("{raw}{}", request.body);
    Some((request, raw))
}

fn write(stream: &mut impl Write, answer: &Answer, request: &str) -> std::io::Result<()> {
    match answer {
        Answer::Http(status, headers, body) => {
            write!(stream, "HTTP/1.1 {status} Some Words\r\nContent-Length: {}\r\n", body.len())?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            write!(stream, "\r\n{body}")?;
        }
        Answer::Echo(status) => {
            let length = request.len();
            write!(stream, "HTTP/1.1 {status} Echo\r\nContent-Length: {length}\r\n\r\n{request}")?;
        }
        Answer::Raw(bytes) => stream.write_all(bytes)?,
        Answer::Silence => thread::sleep(Duration::from_secs(60)),
        Answer::Trickle => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b" ")?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(100));
            }
        }
        Answer::Hangup => {}
    }
    stream.flush()
}

/// A port without a listener.
pub fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A proxy that makes tunnels. It records the host of each, and the login it came with.
pub fn proxy() -> (u16, Arc<Mutex<Vec<Request>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let record = Arc::new(Mutex::new(Vec::new()));
    let requests = record.clone();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = BufReader::new(client.unwrap());
            let (request, _) = read(&mut client).unwrap();
            let mut client = client.into_inner();
            let mut server = TcpStream::connect(&request.target).unwrap();
            requests.lock().unwrap().push(request);
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut up_from, mut up_to) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
            thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    (port, record)
}

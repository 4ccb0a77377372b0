//! Somebody on the way to a server, who puts bytes of his own behind one of its answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Where the bytes are put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the packet of the answer.
    SamePacket,
    /// In one of their own, a moment later.
    NextPacket,
}

/// Hands one connection on to a server. What the client sends after the text `trigger` goes to the receiver too.
pub fn inject(
    server: u16,
    trigger: &'static [u8],
    injected: &'static [u8],
    place: Place,
) -> (u16, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let mut to_client = client.try_clone().unwrap();
        let mut to_server = server.try_clone().unwrap();
        let (tripped, trips) = mpsc::channel();
        thread::spawn(move || {
            let (mut client, mut is_tripped) = (client, false);
            let mut chunk = [0; 65536];
            while let Ok(length @ 1..) = client.read(&mut chunk) {
                if is_tripped {
                    let _ = sender.send(chunk[..length].to_vec());
                }
                if chunk[..length].windows(trigger.len()).any(|part| part == trigger) {
                    is_tripped = true;
                    let _ = tripped.send(());
                }
                if to_server.write_all(&chunk[..length]).is_err() {
                    break;
                }
            }
            let _ = to_server.shutdown(Shutdown::Both);
        });
        let mut chunk = [0; 65536];
        while let Ok(length @ 1..) = server.read(&mut chunk) {
            let mut bytes = chunk[..length].to_vec();
            if trips.try_recv().is_ok() {
                if place == Place::NextPacket {
                    to_client.write_all(&bytes).unwrap();
                    thread::sleep(Duration::from_millis(50));
                    bytes.clear();
                }
                bytes.extend(injected);
            }
            if to_client.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
    (port, receiver)
}

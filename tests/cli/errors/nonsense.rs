//! A server that speaks the protocol until it is asked something, answers with nonsense and keeps the connection open.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Answers that no client can read, and what each is.
const NONSENSE: [(&str, &[u8]); 5] = [
    ("a description of one column, without the column", b"T\0\0\0\x06\0\x01"),
    ("a message of an unknown kind", b"?\0\0\0\x04"),
    ("a message of a negative length", b"T\xff\xff\xff\xff"),
    ("a message that does not belong there", b"c\0\0\0\x04"),
    ("an error without its end", b"E\0\0\0\x06SX"),
];

/// The port of a server that gives this answer to whatever it is asked.
fn answering(nonsense: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || serve(client.unwrap(), nonsense));
        }
    });
    port
}

fn serve(mut client: TcpStream, nonsense: &[u8]) {
    let mut length = [0; 4];
    loop {
        if client.read_exact(&mut length).is_err() {
            return;
        }
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut rest).unwrap();
        // SSLRequest: no.
        if rest == 80_877_103_u32.to_be_bytes() {
            client.write_all(b"N").unwrap();
            continue;
        }
        break;
    }
    // AuthenticationOk, ReadyForQuery.
    client.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").unwrap();
    let mut chunk = [0; 4096];
    let mut is_answered = false;
    while let Ok(1..) = client.read(&mut chunk) {
        if !is_answered && client.write_all(nonsense).is_err() {
            return;
        }
        is_answered = true;
    }
}

#[test]
fn a_server_that_answers_with_nonsense_hangs_no_job() {
    std::thread::scope(|scope| {
        for (what, nonsense) in NONSENSE {
            scope.spawn(move || {
                let env = TestEnv::new();
                let url = format!("postgresql://postgres@127.0.0.1:{}/none", answering(nonsense));
                for words in [
                    &["stats", "--no-alert"][..],
                    &["alert"],
                    &["cleanup", "--no-alert"],
                    &["cleanup", "--dry-run"],
                    &["check"],
                ] {
                    let run = env.taskmon(words.iter().copied()).arg("-qq");
                    let finished = run.env("TASKMON_DATABASE_URL", url.as_str()).run();
                    finished.stderr();
                    let result = finished.json();
                    if words[0] != "check" {
                        assert_eq!(finished.code, Some(3), "{what}: {words:?}: {result:#}");
                        assert_eq!(
                            result["error"]["kind"], "database_unavailable",
                            "{what}: {words:?}: {result:#}"
                        );
                    }
                    assert!(
                        finished.took.as_secs() < 45,
                        "{what}: {words:?} took {:?}",
                        finished.took
                    );
                }
            });
        }
    });
}

//! What a broker's error means, in words that need no knowledge of a library.

/// `error`: the library's own words.
pub fn explain(error: &str) -> String {
    const MEANINGS: [(&str, &str); 12] = [
        ("Connection refused", "nothing listens there (connection refused)"),
        ("failed to lookup address", "there is no host of that name"),
        ("timed out", "it does not answer in time"),
        ("Connection reset", "it ends the connection without an answer"),
        ("Broken pipe", "it ends the connection without an answer"),
        ("unexpected end of file", "it ends the connection without an answer"),
        ("UnexpectedEof", "it ends the connection without an answer"),
        ("No such file", "there is no such socket (No such file or directory)"),
        ("Network is unreachable", "there is no way to it in the network"),
        ("No route to host", "there is no way to it in the network"),
        ("received corrupt message", "what answers there does not speak TLS"),
        ("InvalidContentType", "what answers there does not speak TLS"),
    ];
    if let Some((_, why)) = error.split_once("invalid peer certificate") {
        let why = why.trim_start_matches([':', ' ']);
        return format!("its certificate is not accepted (invalid peer certificate: {why})");
    }
    let meaning = MEANINGS.iter().find(|(words, _)| error.contains(words));
    meaning.map_or(error, |(_, meaning)| meaning).to_owned()
}

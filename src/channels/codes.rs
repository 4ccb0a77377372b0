//! Services that answer with a code in the body: success is the code 0.

use super::SendError;
use super::http::Reply;
use serde_json::Value;

/// Where a service's answer holds its code, and what an operator should know of the codes.
pub struct Codes {
    /// The keys of the code and of its text.
    pub code: &'static str,
    pub text: &'static str,
    /// Those that may have passed by the next attempt.
    pub temporary: &'static [(i64, &'static str)],
    pub permanent: &'static [(i64, &'static str)],
}

impl Codes {
    /// Whether the code is 0. Services send theirs with status 200, and some of them with 400.
    ///
    /// # Errors
    /// Every other code, an answer that holds none, and every status but 2xx.
    pub fn check(&self, reply: &Reply) -> Result<(), SendError> {
        let body = reply.json();
        let error = reply.error(&format!("answered without \"{}\":", self.code));
        match body.get(self.code).and_then(Value::as_i64) {
            Some(0) if reply.is_success() => Ok(()),
            // Beside a status that may pass, the code adds nothing.
            Some(number) if number != 0 && error.permanent => {
                let said = body.get(self.text).and_then(Value::as_str).unwrap_or_default();
                let mut known = self.temporary.iter().chain(self.permanent);
                let meaning = known.find(|(code, _)| *code == number);
                let meaning = meaning.map_or(String::new(), |(_, text)| format!(" ({text})"));
                let (code, said) = (self.code, reply.quote(said));
                Err(SendError {
                    permanent: self.temporary.iter().all(|(code, _)| *code != number),
                    retry_after: error.retry_after,
                    ..reply.refused(&format!("answered with {code} {number}{meaning}: {said}"))
                })
            }
            _ => Err(error),
        }
    }
}

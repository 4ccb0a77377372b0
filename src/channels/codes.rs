//! Services that answer with a code in the body: success is the code 0.

use super::SendError;
use super::http::{Endpoint, Reply};
use serde_json::Value;

/// Where a service's answer holds its code, and what the codes mean.
pub struct Codes {
    /// The keys of the code and of its text.
    pub code: &'static str,
    pub text: &'static str,
    /// Those that may have passed by the next attempt.
    pub throttled: &'static [i64],
    /// What an operator can do about one.
    pub explain: fn(i64) -> Option<&'static str>,
}

impl Codes {
    /// Whether the code is 0. Services send theirs with status 200, and some of them with 400.
    ///
    /// # Errors
    /// Every other code, an answer that holds none, and every status but 2xx.
    pub fn check(&self, endpoint: &Endpoint, reply: Reply) -> Result<(), SendError> {
        let parsed = reply.json();
        let number = parsed.get(self.code).and_then(Value::as_i64);
        match (number, reply.refusal) {
            (Some(0), None) => Ok(()),
            // The code of a status that may pass, or of none at all, adds nothing to it.
            (None | Some(0), Some(refusal)) => Err(refusal),
            (Some(_), Some(refusal)) if !refusal.permanent => Err(refusal),
            (None, None) => {
                let said = endpoint.quote(&reply.text);
                Err(endpoint.refused(&format!("answered without \"{}\": {said}", self.code)))
            }
            (Some(number), refusal) => {
                let said = parsed.get(self.text).and_then(Value::as_str).unwrap_or_default();
                let said = endpoint.quote(said);
                let meaning = (self.explain)(number);
                let meaning = meaning.map_or(String::new(), |meaning| format!(" ({meaning})"));
                let code = self.code;
                Err(SendError {
                    permanent: !self.throttled.contains(&number),
                    retry_after: refusal.and_then(|refusal| refusal.retry_after),
                    ..endpoint.refused(&format!("answered with {code} {number}{meaning}: {said}"))
                })
            }
        }
    }
}

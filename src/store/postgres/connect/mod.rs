//! PostgreSQL: what a URL, the variables and the files that libpq reads say, and the connection that comes of it.

pub mod attempt;
mod certificate;
mod complete;
pub mod connector;
mod hosts;
mod message_limit;
mod open;
pub mod parameters;
mod passfile;
mod problem;
pub mod target;
mod tls;
pub mod url;

#[cfg(test)]
mod tests;

pub use attempt::connect;
use parameters::UrlContext;
use target::PostgresTarget;
use url::Style;

/// Reads what follows the `//` of a PostgreSQL URL. Nothing is connected to.
///
/// # Errors
/// Says what is wrong in the URL or a variable, without any password.
pub fn parse(rest: &str, style: Style, context: &UrlContext) -> Result<PostgresTarget, String> {
    complete::complete(&url::read(rest, style, context)?)
}

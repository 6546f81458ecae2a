//! Where a key that nobody has configured is good enough, and where `--dev` is.

use std::net::SocketAddr;

/// How the service is about to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Whether `--dev` was given.
    pub dev: bool,
    /// Whether the database is one of the operator's own and not the embedded one.
    pub outside_database: bool,
    /// Where requests will come in.
    pub listen: SocketAddr,
}

/// Why the service must not start like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exposed {
    /// `--dev` moves the clock for everybody and tells too much about errors.
    #[error("--dev serves loopback addresses only, not {0}: leave --dev out, or listen on 127.0.0.1")]
    Dev(SocketAddr),
    /// Nobody has said whose tokens are good, and strangers could ask.
    #[error(
        "the service would listen on {0} with a generated signing key: list the public keys of whoever issues your tokens in \
         auth.keys (for those of `openmpsd token`, that is keys/public.json in the data directory), or listen on 127.0.0.1"
    )]
    Address(SocketAddr),
    /// A database of one's own may be shared with other instances, which would all generate a key of their own.
    #[error(
        "a database of your own needs signing keys of your own: list the public keys of whoever issues your tokens in auth.keys \
         (for those of `openmpsd token`, that is keys/public.json in the data directory), or use --dev for development"
    )]
    Database,
}

impl Situation {
    /// Decides whether the service may start like this; `key_is_generated` when `auth.keys` is empty.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self, key_is_generated: bool) -> Result<(), Exposed> {
        let is_local = self.listen.ip().to_canonical().is_loopback();
        if self.dev && !is_local {
            Err(Exposed::Dev(self.listen))
        } else if key_is_generated && !is_local {
            Err(Exposed::Address(self.listen))
        } else if key_is_generated && self.outside_database && !self.dev {
            Err(Exposed::Database)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const LOCAL: &str = "127.0.0.1:8080";
    const WORLD: &str = "0.0.0.0:8080";

    #[rstest]
    #[case::first_run(false, false, LOCAL, true, "")]
    #[case::first_run_ipv6(false, false, "[::1]:8080", true, "")]
    #[case::mapped_loopback(false, false, "[::ffff:127.0.0.1]:8080", true, "")]
    #[case::production(false, true, WORLD, false, "")]
    #[case::embedded_production(false, false, WORLD, false, "")]
    #[case::exposed(false, false, WORLD, true, "would listen on 0.0.0.0:8080")]
    #[case::exposed_ipv6(false, false, "[::]:8080", true, "would listen on [::]:8080")]
    #[case::shared(false, true, LOCAL, true, "a database of your own")]
    #[case::dev(true, false, LOCAL, true, "")]
    #[case::dev_shared(true, true, LOCAL, true, "")]
    #[case::dev_exposed(true, true, WORLD, true, "--dev serves loopback")]
    #[case::dev_exposed_with_keys(true, true, WORLD, false, "--dev serves loopback")]
    fn strangers_meet_configured_keys_only(
        #[case] dev: bool,
        #[case] outside_database: bool,
        #[case] listen: &str,
        #[case] key_is_generated: bool,
        #[case] refusal: &str,
    ) {
        let situation = Situation { dev, outside_database, listen: listen.parse().unwrap() };
        match situation.check(key_is_generated) {
            Ok(()) => assert_eq!(refusal, ""),
            Err(error) => assert!(!refusal.is_empty() && error.to_string().contains(refusal), "{error}"),
        }
    }
}

//! Slows down who tries tokens: an address that sent many wrong ones is not listened to for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use axum::http::StatusCode;
use surefoot::core::time::Millis;

use crate::problem::Problem;

/// Wrong tokens of one address within [`WINDOW_MS`].
const WRONG_MAX: u32 = 20;
const WINDOW_MS: Millis = 60_000;
/// Addresses that are remembered; while so many are, others are not counted.
const ADDRESSES_MAX: usize = 10_000;

/// Counts wrong tokens by address, in fixed windows.
#[derive(Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, (Millis, u32)>>);

impl Guesses {
    /// Notes a wrong token, and refuses an address that sends too many.
    pub fn note(&self, from: Option<IpAddr>, now: Millis) -> Result<(), Problem> {
        let Some(from) = from else { return Ok(()) };
        let mut all = self.0.lock().unwrap_or_else(|it| it.into_inner());
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&from) {
            all.retain(|_, (since, _)| now < *since + WINDOW_MS);
            if all.len() >= ADDRESSES_MAX {
                return Ok(());
            }
        }
        let (since, wrong) = all.entry(from).or_insert((now, 0));
        if now >= *since + WINDOW_MS {
            (*since, *wrong) = (now, 0);
        }
        *wrong += 1;
        if *wrong <= WRONG_MAX {
            return Ok(());
        }
        let left = (*since + WINDOW_MS - now).div_ceil(1000);
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "SF4018", "too many wrong tokens")
            .hint("Check the token, and send it again later.")
            .retry_after(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_listened_to_until_its_window_is_over() {
        let (guesses, here) = (Guesses::default(), Some(IpAddr::from([127, 0, 0, 1])));
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        for _ in 0..WRONG_MAX {
            assert!(guesses.note(here, 5).is_ok());
        }
        assert!(guesses.note(here, 59_999).is_err());
        assert!(guesses.note(other, 59_999).is_ok());
        assert!(guesses.note(here, 60_005).is_ok());
        assert!(guesses.note(here, 60_006).is_ok());
    }
}

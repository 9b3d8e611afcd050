//! How much each client may send: a bucket of tokens for each, filled at an even rate, in a table that doesn't grow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most clients remembered. Beyond it those whose bucket is full again are forgotten, else the one that was quiet longest.
const CLIENTS_MAX: usize = 4_096;

/// Who shares a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Nobody counts: root, and the user that control runs as.
    Own,
    /// A user of the Unix socket.
    User(Option<u32>),
    /// An IPv4 address, or the /64 of an IPv6 address: whoever has one address of it has them all.
    Address(IpAddr),
}

impl Client {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self::Address(IpAddr::V6(network.into()))
            }
            address => Self::Address(address),
        }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

/// The buckets of all clients.
#[derive(Debug)]
pub(super) struct Rates {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    per_s: f64,
    most: f64,
    buckets: HashMap<Client, Bucket>,
}

impl Rates {
    /// `per_s` tokens a second, at most `most` at a time.
    pub(super) fn new(per_s: f64, most: f64) -> Self {
        Self { table: Mutex::new(Table { per_s, most, buckets: HashMap::new() }) }
    }

    /// The same for all clients from now on; what they have sent counts.
    pub(super) fn set(&self, per_s: f64, most: f64) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        (table.per_s, table.most) = (per_s, most);
    }

    /// Takes a token; `Some`: there was none, and the next comes after this time.
    pub(super) fn take(&self, client: Client) -> Option<Duration> {
        self.take_at(client, Instant::now())
    }

    fn take_at(&self, client: Client, now: Instant) -> Option<Duration> {
        if client == Client::Own {
            return None;
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { per_s, most, buckets } = &mut *table;
        let (per_s, most) = (*per_s, *most);
        if buckets.len() >= CLIENTS_MAX && !buckets.contains_key(&client) {
            let refill = Duration::from_secs_f64(most / per_s);
            buckets.retain(|_, bucket| now.duration_since(bucket.filled) < refill);
            if buckets.len() >= CLIENTS_MAX {
                let quiet = buckets.iter().min_by_key(|(_, bucket)| bucket.filled);
                let quiet = quiet.map(|(client, _)| *client);
                quiet.map(|quiet| buckets.remove(&quiet));
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket { tokens: most, filled: now });
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * per_s).min(most);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return Some(Duration::from_secs_f64((1.0 - bucket.tokens) / per_s));
        }
        bucket.tokens -= 1.0;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_fills_and_is_its_clients_own() {
        let rates = Rates::new(10.0, 3.0);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let alice = Client::User(Some(1_000));
        let taken: Vec<bool> = (0..4).map(|_| rates.take_at(alice, start).is_none()).collect();
        assert_eq!(taken, [true, true, true, false]);
        assert!(rates.take_at(Client::User(Some(1_001)), start).is_none());
        assert!((0..99).all(|_| rates.take_at(Client::Own, start).is_none()));
        let wait = rates.take_at(alice, at(50)).unwrap();
        assert!((40..=60).contains(&wait.as_millis()), "{wait:?}");
        assert!(rates.take_at(alice, at(101)).is_none() && rates.take_at(alice, at(102)).is_some());
    }

    #[test]
    fn a_new_rate_holds_for_clients_that_are_known() {
        let rates = Rates::new(1.0, 1.0);
        let start = Instant::now();
        let alice = Client::User(Some(1_000));
        assert!(rates.take_at(alice, start).is_none() && rates.take_at(alice, start).is_some());
        rates.set(100.0, 200.0);
        assert!(rates.take_at(alice, start + Duration::from_millis(11)).is_none());
        rates.set(1.0, 1.0);
        assert!(rates.take_at(alice, start + Duration::from_millis(500)).is_some());
    }

    #[test]
    fn addresses_of_one_network_share_and_the_table_stays_small() {
        let of = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(of("fd00::1"), of("fd00::ffff:2"));
        assert_ne!(of("fd00::1"), of("fd00:0:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        let rates = Rates::new(0.001, 1.0);
        let start = Instant::now();
        for number in 0..2 * CLIENTS_MAX as u32 {
            let now = start + Duration::from_millis(number.into());
            assert!(rates.take_at(Client::User(Some(number)), now).is_none());
        }
        assert!(rates.table.lock().unwrap().buckets.len() <= CLIENTS_MAX);
    }
}

//! Roles: devices that talk alike.
//!
//! A device's features are what it asks and what it is asked, with whom if the peer is one that many use. Devices are put to the
//! leader of a role whose features are most alike by Jaccard's index |A∩B| / |A∪B| (Jaccard, "The distribution of the flora in the
//! alpine zone", New Phytologist 1912). *Rejected:* MinHash sketches: a line has some hundred devices and a dozen roles, and
//! comparing each with every leader is exact and takes milliseconds.

use std::collections::{BTreeMap, HashMap, HashSet};

use loadlock_packet::{Kind, Network};

use crate::classes::management;
use crate::key::Device;
use crate::ledger::Ledger;

/// A thing a device does: asks (`true`) or is asked, for which service, with which peer if many use it.
type Feature = (bool, Kind, u16, Option<Network>);

/// Devices and their roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// By index of the device in the ledger.
    of: Vec<Option<u16>>,
    members: Vec<Vec<u32>>,
    names: Vec<String>,
}

/// Fewer features than this don't make a role.
const FEATURES_MIN: usize = 3;
/// From how many different clients on a peer counts by its name.
const POPULAR_MIN: usize = 4;
/// How much alike two devices of one role are, and two of the same vendor.
const ALIKE: f64 = 0.95;
const ALIKE_SAME_VENDOR: f64 = 0.6;

impl Roles {
    /// Groups the devices of a ledger. `excluded` says of which facts nothing is concluded; `given` are the names that people gave.
    pub(crate) fn find(
        ledger: &Ledger,
        excluded: impl Fn(usize) -> bool,
        given: &BTreeMap<Device, String>,
    ) -> Self {
        let features = features(ledger, excluded);
        let vendor = |device: usize| {
            ledger.station(&ledger.devices[device]).map(|mac| [mac.0[0], mac.0[1], mac.0[2]])
        };
        let mut order: Vec<usize> = (0..ledger.devices.len())
            .filter(|device| features[*device].len() >= FEATURES_MIN)
            .filter(|device| !given.contains_key(&ledger.devices[*device]))
            .collect();
        order.sort_by_key(|device| (std::cmp::Reverse(features[*device].len()), *device));
        let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
        for device in order {
            let own = &features[device];
            let alike = |leader: usize| {
                let common = own.intersection(&features[leader]).count();
                let all = own.len() + features[leader].len() - common;
                let share = common as f64 / all as f64;
                let needed =
                    if vendor(device) == vendor(leader) { ALIKE_SAME_VENDOR } else { ALIKE };
                (share >= needed && ledger.devices[device].side == ledger.devices[leader].side)
                    .then_some(share)
            };
            let shares = groups.iter().enumerate();
            let best = shares.filter_map(|(at, (leader, _))| Some((alike(*leader)?, at))).fold(
                None::<(f64, usize)>,
                |best, found| match best {
                    Some(best) if best.0 >= found.0 => Some(best),
                    _ => Some(found),
                },
            );
            match best {
                Some((_, at)) => groups[at].1.push(device as u32),
                None => groups.push((device, vec![device as u32])),
            }
        }
        let mut roles = Self { of: vec![None; ledger.devices.len()], ..Self::default() };
        let mut named: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (device, name) in given {
            if let Ok(at) = ledger.devices.binary_search(device) {
                named.entry(name).or_default().push(at as u32);
            }
        }
        for (name, members) in named {
            roles.add(name.to_owned(), members);
        }
        // A role needs at least two; named after its first member.
        let mut groups: Vec<Vec<u32>> = groups.into_iter().map(|(_, members)| members).collect();
        // A host behind a router is seen by every segment: that is one address, and no role.
        let network = |device: &u32| ledger.devices[*device as usize].network;
        groups
            .retain(|members| members.iter().any(|device| network(device) != network(&members[0])));
        for members in &mut groups {
            members.sort_unstable();
        }
        groups.sort_unstable();
        for members in groups {
            let first = members.first().map_or(0, |device| *device as usize);
            roles.add(format!("like {}", ledger.devices[first].address()), members);
        }
        roles
    }

    fn add(&mut self, name: String, members: Vec<u32>) {
        let role = u16::try_from(self.members.len()).unwrap_or(u16::MAX);
        for device in &members {
            self.of[*device as usize] = Some(role);
        }
        self.members.push(members);
        self.names.push(name);
    }

    /// The role of a device, by index.
    pub(crate) fn of(&self, device: usize) -> Option<usize> {
        self.of.get(device).copied().flatten().map(usize::from)
    }

    /// The devices of a role, by index.
    pub(crate) fn members(&self, role: usize) -> &[u32] {
        self.members.get(role).map_or(&[], Vec::as_slice)
    }

    /// The name of a role.
    #[must_use]
    pub fn name(&self, role: usize) -> &str {
        self.names.get(role).map_or("", String::as_str)
    }

    /// How many roles there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.len()
    }
}

fn features(ledger: &Ledger, excluded: impl Fn(usize) -> bool) -> Vec<HashSet<Feature>> {
    let sound: Vec<_> = ledger
        .facts
        .iter()
        .enumerate()
        .filter(|(at, fact)| fact.is_sound() && !excluded(*at))
        .map(|(_, fact)| fact)
        .collect();
    let mut peers: HashMap<Network, HashSet<Network>> = HashMap::new();
    for fact in &sound {
        peers.entry(fact.tuple.server).or_default().insert(fact.tuple.client);
        peers.entry(fact.tuple.client).or_default().insert(fact.tuple.server);
    }
    let named = |network: Network| {
        let popular = peers.get(&network).is_some_and(|peers| peers.len() >= POPULAR_MIN);
        popular.then_some(network)
    };
    // Ports above are negotiated more often than served; they tell models apart only when many share one.
    const DYNAMIC_MIN: u16 = 10_000;
    let mut features = vec![HashSet::new(); ledger.devices.len()];
    for fact in sound {
        let (kind, service) = (fact.tuple.kind, fact.tuple.service);
        // By the ways in which machines are taken over, an attacker could put a device into another role.
        if (kind == Kind::Tcp && service >= DYNAMIC_MIN) || management(kind, service).is_some() {
            continue;
        }
        features[fact.client].insert((true, kind, service, named(fact.tuple.server)));
        features[fact.server].insert((false, kind, service, named(fact.tuple.client)));
    }
    features
}

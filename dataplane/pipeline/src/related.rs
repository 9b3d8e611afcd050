//! ICMP errors about live conversations: they pass whatever the rules say of ICMP, leave no trace in the flow table, and teach
//! nothing.

use loadlock_exchange::Mode;
use loadlock_packet::{Kind, NarrowKey, Opening, Quote, WideKey};

use crate::decide::{Adoption, Judgement, judge_first};
use crate::entry::{Entry, State, TableKey};
use crate::report::EventSink;
use crate::storage::Zeroed;
use crate::table::Table;
use crate::track::Burst;
use crate::verdict::Verdict;

impl<S: EventSink> Burst<'_, S> {
    /// The verdict on an error that quotes this, if it is about a live conversation that is permitted: that of the
    /// conversation. Neither its time-out nor its counts move, or errors would keep alive what is over.
    #[cold]
    pub fn related(
        &self,
        narrow: &mut Table<NarrowKey>,
        wide: &mut Table<WideKey>,
        quote: Quote,
    ) -> Option<Verdict> {
        use loadlock_packet::FlowKey::{Narrow, Wide};
        match quote {
            Quote::Unreadable => None,
            Quote::Conversation(Narrow(key)) => self.about(narrow, key),
            Quote::Conversation(Wide(key)) => self.about(wide, key),
        }
    }

    fn about<K: TableKey>(&self, table: &mut Table<K>, key: K) -> Option<Verdict>
    where
        Entry<K>: Zeroed,
    {
        let hash = table.hash(&key);
        let verdict = match table.find(&key, hash) {
            Some(line) => {
                let entry = table.get_mut(line);
                match entry.state {
                    State::OVER => return None,
                    _ if entry.generation == self.generation() => entry.verdict.verdict(),
                    _ => self.again(&key, entry.flags, entry.verdict).verdict(self.mode),
                }
            }
            None => {
                // A full table doesn't know whether the conversation lives: what a rule permits then goes on without state.
                let stateless = table.adopts(self.moment.steady_ns);
                let tcp = key.tail().kind() == Kind::Tcp;
                let refused = tcp && self.refused.contains(hash);
                if !stateless {
                    return None;
                }
                let adopt = Adoption { running: true, stateless, refused, by_rule: false };
                let asked = self.sender.other();
                match judge_first(&self.policy, &key, asked, Opening::MayNot, adopt) {
                    Judgement::Refuse(_) => return None,
                    permitted => permitted.verdict(Mode::Enforce),
                }
            }
        };
        matches!(verdict, Verdict::Allow(_)).then_some(verdict)
    }
}

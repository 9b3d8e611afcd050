//! What the backend asks for, answered on the core thread.

use loadlock_api::Listing;

use super::Core;
use crate::backend::Command;
use crate::lines::flow;

impl Core {
    pub(super) fn obey(&mut self, command: Command) {
        // A reply nobody waits for any more is thrown away.
        match command {
            Command::Status(reply) => drop(reply.send(Ok(self.status()))),
            Command::Figures(reply) => drop(reply.send(Ok(self.figures()))),
            Command::Drops(reply) => drop(reply.send(Ok(self.drops()))),
            Command::SetMode { segment, mode, author, reply } => {
                let result = self.set_mode(&segment, mode.into(), &author);
                drop(reply.send(result));
            }
            Command::SetBypass { segment, change, author, reply } => {
                let result = self.set_bypass(&segment, &change, &author);
                drop(reply.send(result));
            }
            Command::StartCapture { addresses, device, body, author, reply } => {
                let result = self.start_capture(&addresses, device, &body, author);
                drop(reply.send(result));
            }
            Command::Captured(query, reply) => drop(reply.send(self.captured(query))),
            Command::StopCapture(id, reply) => drop(reply.send(self.stop_capture(id))),
            Command::StartShadow(shadow, limit, reply) => {
                self.start_shadow(shadow);
                drop(reply.send(self.shadow_status(limit)));
            }
            Command::StopShadow(reply) => drop(reply.send(self.stop_shadow())),
            Command::Shadow(limit, reply) => drop(reply.send(self.shadow_status(limit))),
            Command::Snapshot(reply) => drop(reply.send(Ok(self.state.clone()))),
            Command::Change(change, reply) => drop(reply.send(self.change(change))),
            Command::Denials(addresses, device, reply) => {
                drop(reply.send(Ok(self.is_it_me(&addresses, device))));
            }
            Command::Rules(query, reply) => {
                let known = |name: &String| {
                    self.settings.segments.iter().any(|segment| segment.name.as_str() == name)
                };
                let result = match &query.segment {
                    Some(segment) if !known(segment) => Err(self.unknown_segment(segment)),
                    wanted => Ok(Listing::take(
                        self.rules().filter(|rule| {
                            wanted.as_ref().is_none_or(|name| rule.segment == *name)
                        }),
                        query.limit,
                    )),
                };
                drop(reply.send(result));
            }
            Command::Bindings(query, reply) => drop(reply.send(self.bindings(&query))),
            Command::Renew { segment, renewal, author, reply } => {
                let result = self.renew(&segment, &renewal, &author);
                drop(reply.send(result));
            }
            Command::Learning { request, author, reply } => {
                let result = self.learning(request, &author);
                drop(reply.send(result));
            }
            Command::Reload(settings, boards, reply) => {
                self.reload(*settings, boards);
                drop(reply.send(Ok(())));
            }
            Command::Explain(query, reply) => drop(reply.send(self.explain(&query))),
            Command::Flows(query, reply) => {
                let flows = self.live.flows();
                let matching = flows.iter().filter(|(key, _)| {
                    query.address.is_none_or(|address| {
                        use loadlock_packet::Side::{A, B};
                        [A, B].iter().any(|side| address.matches(key.endpoint(*side).network))
                    })
                });
                let lines =
                    matching.map(|(key, live)| flow(&self.settings, &self.state.policy, key, live));
                let mut listing = Listing::take(lines, query.limit);
                listing.total += self.live.flows_left_out();
                drop(reply.send(Ok(listing)));
            }
        }
    }
}

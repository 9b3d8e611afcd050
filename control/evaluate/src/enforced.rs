//! A policy in force: the compiled allowlist that a worker asks.

use loadlock_exchange::{
    Infrastructure, Policy as Header, PolicyImage, RuleOptions, Seed, SegmentPolicy,
};
use loadlock_packet::{FlowKey, Kind, Side};
use loadlock_policy::{Policy, SegmentDefinition};

use crate::error::EvaluateError;

/// Compiled rules.
pub(crate) struct Enforced {
    image: PolicyImage,
    header: Header,
    /// Rules in it.
    pub rules: usize,
}

const RULE_CAPACITY: usize = 1 << 20;

impl Enforced {
    pub fn compile(policy: &Policy, segments: &[String]) -> Result<Self, EvaluateError> {
        let infrastructure =
            Infrastructure { arp: true, neighbour_discovery: true, link_local: true };
        let definition = |name: &String| SegmentDefinition {
            name: name.clone(),
            policy: SegmentPolicy { infrastructure, ..SegmentPolicy::CLOSED },
        };
        let segments: Vec<SegmentDefinition> = segments.iter().map(definition).collect();
        let seed = Seed([0x6c6f_6164_6c6f_636b, 0x6576_616c_7561_7465]);
        let image = policy
            .compile(&segments, 1, seed, RULE_CAPACITY)
            .map_err(|source| EvaluateError::Compile { source: Box::new(source) })?;
        let header = Header::read(image.words()).unwrap_or_else(|_| Header::none());
        Ok(Self { image, header, rules: policy.rules().len() })
    }

    /// True if this side may open the conversation.
    pub fn permits(&self, key: &FlowKey, opener: Side) -> bool {
        let view = self.header.view(self.image.words(), 1);
        let by = |client: Side, opens: fn(&RuleOptions) -> bool| {
            view.find(key, client).is_some_and(|found| opens(&found.options))
        };
        by(opener, |options| options.client_opens)
            || (key.tail().kind() != Kind::Tcp
                && by(opener.other(), |options| options.server_opens))
    }
}

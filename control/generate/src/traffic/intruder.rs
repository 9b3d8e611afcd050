//! The attacks: a scan and SNMP probes by an office PC, a recipe server that connects from its service port, and a tool
//! that reaches for MES by SMB.
//!
//! None of them asks by ARP: the office PC is behind the gateway, and the others know their victims already. So every
//! packet here is one that must not pass.

use crate::conversation::{
    ConversationError, Direction, Host, Pace, SynAnswer, TcpSession, TimedFrame, tcp_attempt,
    udp_exchange,
};
use crate::random::SplitMix64;
use crate::scenario::{QUIET_NS, SCANNED_PORTS, Scenario};

use super::payload;
use super::topology::Topology;
use super::{Activity, AttackClass, Batch, Label};

/// Port on the tools that the recipe server connects to. Outside the client ports of benign traffic, so that it never
/// meets a live connection of the same pair.
const REVERSE_RULE_PORT: u16 = 40_445;
/// Ports open on a tool, as far as the scanner tries them.
const OPEN_PORTS: [u16; 2] = [445, 5000];
/// First client port of an attacker; below those of benign traffic.
const ATTACKER_PORT_FIRST: u16 = 33_000;
/// How often the recipe server and the tool try.
const TRIES_PER_TOOL: u64 = 3;
/// Longest conversation of an attack: SYN, repeated for 3 s.
const CONVERSATION_NS_MAX: u64 = 5_000_000_000;

/// All attacks of the scenario; none without an intruder.
pub(super) fn activities(
    scenario: &Scenario,
    topology: &Topology,
    seed: u64,
) -> Vec<Box<dyn Activity + Send>> {
    let (Some(intruder), Some(start_ns), Some(office)) =
        (&scenario.intruder, scenario.intruder_start_ns(), topology.office)
    else {
        return Vec::new();
    };
    let end_ns = scenario.start_ns() + scenario.duration_ns();
    let plan = Plan {
        topology,
        office,
        answers: intruder.answers,
        half_trip_ns: scenario.line.round_trip_us * 1_000 / 2 / 1_000 * 1_000,
        first_ns: start_ns + 1_000_000,
        end_ns: end_ns - QUIET_NS - CONVERSATION_NS_MAX,
        seed,
    };
    let tools = &topology.tools[..];
    let tool_count = tools.len() as u64;
    let probes = SCANNED_PORTS.len() as u64 * tool_count;
    let scan_ns = intruder.scan_pause_ms * 1_000_000;
    let (snmp_ns, try_ns) = (plan.spread_ns(tool_count), plan.spread_ns(TRIES_PER_TOOL));
    let mut attacks = vec![
        plan.attack(AttackClass::TcpScan, tools, probes, scan_ns, 0),
        plan.attack(AttackClass::SnmpProbe, tools, tool_count, snmp_ns, snmp_ns / 3),
        plan.attack(AttackClass::ToolSmb, tools, TRIES_PER_TOOL, try_ns, try_ns / 2),
    ];
    // One for each tool, because a SYN that nobody answers takes three seconds, and the window may be short.
    for (index, tool) in tools.iter().enumerate() {
        let lead_ns = try_ns / (tool_count + 1) * (index as u64 + 1);
        let tool = std::slice::from_ref(tool);
        let class = AttackClass::ReverseRule;
        attacks.push(plan.attack(class, tool, TRIES_PER_TOOL, try_ns, lead_ns));
    }
    attacks
}

/// What all attacks of a scenario have in common.
struct Plan<'a> {
    topology: &'a Topology,
    office: Host,
    answers: bool,
    half_trip_ns: u64,
    /// The first attack starts here.
    first_ns: u64,
    /// No conversation starts from here on.
    end_ns: u64,
    seed: u64,
}

impl Plan<'_> {
    /// The distance of `steps` steps spread over the window, with room before the first and after the last.
    fn spread_ns(&self, steps: u64) -> u64 {
        (self.end_ns - self.first_ns) / (steps + 1)
    }

    /// An attack on `tools`, of `steps` steps that are `pause_ns` apart, the first of them `lead_ns` into the window.
    fn attack(
        &self,
        class: AttackClass,
        tools: &[Host],
        steps: u64,
        pause_ns: u64,
        lead_ns: u64,
    ) -> Box<dyn Activity + Send> {
        let start_ns = (self.first_ns + lead_ns) / 1_000 * 1_000;
        Box::new(Attack {
            class,
            pace: Pace { half_trip_ns: self.half_trip_ns, ..Pace::local(start_ns) },
            pause_ns: pause_ns / 1_000 * 1_000,
            steps,
            step: 0,
            tools: tools.to_vec(),
            office: self.office,
            mes: self.topology.mes,
            recipe: self.topology.recipe,
            answers: self.answers,
            random: SplitMix64::for_part(self.seed, &[u64::MAX, class as u64, lead_ns]),
        })
    }
}

/// One kind of attack, a step at a time.
struct Attack {
    class: AttackClass,
    pace: Pace,
    pause_ns: u64,
    steps: u64,
    step: u64,
    tools: Vec<Host>,
    office: Host,
    mes: Host,
    recipe: Host,
    answers: bool,
    random: SplitMix64,
}

impl Activity for Attack {
    fn next_batch(&mut self) -> Result<Option<Batch>, ConversationError> {
        if self.step == self.steps {
            return Ok(None);
        }
        let frames = self.conversation()?;
        self.step += 1;
        // The next step waits for this one's end: a SYN that nobody answers takes three seconds.
        let last_ns = frames.last().map_or(0, |frame| frame.time_ns);
        self.pace.start_ns = (self.pace.start_ns + self.pause_ns).max(last_ns + 1_000);
        Ok(Some(Batch { label: Label::Attack(self.class), frames }))
    }
}

impl Attack {
    /// The frames of the step that is due.
    fn conversation(&mut self) -> Result<Vec<TimedFrame>, ConversationError> {
        let tool_count = self.tools.len() as u64;
        let tool = self.tools[(self.step % tool_count) as usize];
        let client_port = ATTACKER_PORT_FIRST + (self.step % 4_000) as u16;
        match self.class {
            AttackClass::TcpScan => {
                let port = SCANNED_PORTS[(self.step / tool_count) as usize % SCANNED_PORTS.len()];
                self.probe(&tool, client_port, port)
            }
            AttackClass::SnmpProbe => {
                let request = payload::snmp_get(self.step as u8);
                udp_exchange(self.pace, &self.office, &tool, client_port, 161, &request, None)
            }
            AttackClass::ReverseRule => {
                let port = REVERSE_RULE_PORT + (self.step / tool_count) as u16;
                self.break_in(&self.recipe.clone(), &tool, 445, port)
            }
            AttackClass::ToolSmb => {
                // The last tool is the compromised one; its neighbours stay clean, for comparison.
                let infected = self.tools[self.tools.len() - 1];
                self.break_in(&infected, &self.mes.clone(), client_port, 445)
            }
        }
    }

    /// One probe of the scan. A scanner doesn't repeat a SYN, so silence here is one packet.
    fn probe(
        &self,
        tool: &Host,
        client_port: u16,
        port: u16,
    ) -> Result<Vec<TimedFrame>, ConversationError> {
        let answer = match (self.answers, OPEN_PORTS.contains(&port)) {
            (false, _) => SynAnswer::Silence,
            (true, true) => SynAnswer::Accept,
            (true, false) => SynAnswer::Reset,
        };
        let mut frames = tcp_attempt(self.pace, &self.office, tool, client_port, port, answer)?;
        if answer == SynAnswer::Silence {
            frames.truncate(1);
        }
        Ok(frames)
    }

    /// A whole conversation where hosts answer, and else a SYN with its repetitions.
    fn break_in(
        &mut self,
        client: &Host,
        server: &Host,
        client_port: u16,
        server_port: u16,
    ) -> Result<Vec<TimedFrame>, ConversationError> {
        if !self.answers {
            let silence = SynAnswer::Silence;
            return tcp_attempt(self.pace, client, server, client_port, server_port, silence);
        }
        let mut session = TcpSession::open(self.pace, client, server, client_port, server_port)?;
        for (direction, bytes) in
            [(Direction::ToServer, 180), (Direction::ToClient, 220), (Direction::ToServer, 3_000)]
        {
            session.send(direction, &payload::smb_encrypted(&mut self.random, bytes))?;
        }
        session.close(Direction::ToServer)?;
        Ok(session.take_frames())
    }
}

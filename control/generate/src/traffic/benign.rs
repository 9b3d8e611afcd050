//! The line's own work, once per half: the second half has the same conversations at the same distance from its start,
//! from new client ports.

use crate::conversation::{
    ConversationError, Direction, Host, Pace, TcpSession, TimedFrame, arp_resolve, icmp_echo,
    udp_exchange,
};
use crate::random::SplitMix64;
use crate::scenario::{QUIET_NS, Scenario};

use super::payload::{self, HsmsControl};
use super::topology::Topology;
use super::{Activity, Batch, BenignClass, Label};

/// First port of the dynamic range (RFC 6335 section 6).
const CLIENT_PORT_FIRST: u16 = 49_152;
/// Client ports of one half; the two halves of the scenario share none.
const CLIENT_PORTS_PER_HALF: u16 = 8_192;
/// ARP comes in the first two seconds of a half, all else after.
const ARP_SPREAD_NS: u64 = 2_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// All benign activities of the scenario.
pub(super) fn activities(
    scenario: &Scenario,
    topology: &Topology,
    seed: u64,
) -> Vec<Box<dyn Activity + Send>> {
    let mut activities: Vec<Box<dyn Activity + Send>> = Vec::new();
    for half in 0..2 {
        for (index, tool) in topology.tools.iter().enumerate() {
            for (kind, interval_s) in kinds(scenario) {
                let number = kind as u64;
                let random = SplitMix64::for_part(seed, &[index as u64, number]);
                let schedule = Schedule::new(scenario, half, interval_s, kind, random);
                let ends =
                    Ends { tool_number: index + 1, tool: *tool, server: server_of(kind, topology) };
                activities.push(Box::new(Recurring {
                    schedule,
                    ends,
                    kind,
                    eda_bytes: scenario.traffic.eda_bytes as usize,
                    recipe_bytes: scenario.traffic.recipe_bytes as usize,
                    count: 0,
                }));
            }
            let random = SplitMix64::for_part(seed, &[index as u64, u64::MAX]);
            activities.push(Box::new(Hsms::new(scenario, half, tool, &topology.mes, random)));
        }
    }
    activities
}

/// Conversations that come again and again. The numbers go into the seed: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    EdaSession = 0,
    EdaData = 1,
    Recipe = 2,
    Syslog = 3,
    Ntp = 4,
    Dns = 5,
    Ping = 6,
    ArpMes = 7,
    ArpEda = 8,
    ArpRecipe = 9,
    ArpInfrastructure = 10,
    ArpGateway = 11,
}

/// All kinds with their interval.
fn kinds(scenario: &Scenario) -> [(Kind, u64); 12] {
    let traffic = &scenario.traffic;
    [
        (Kind::EdaSession, traffic.eda_session_s),
        (Kind::EdaData, traffic.eda_data_s),
        (Kind::Recipe, traffic.recipe_s),
        (Kind::Syslog, traffic.syslog_s),
        (Kind::Ntp, traffic.ntp_s),
        (Kind::Dns, traffic.dns_s),
        (Kind::Ping, traffic.ping_s),
        (Kind::ArpMes, traffic.arp_s),
        (Kind::ArpEda, traffic.arp_s),
        (Kind::ArpRecipe, traffic.arp_s),
        (Kind::ArpInfrastructure, traffic.arp_s),
        (Kind::ArpGateway, traffic.arp_s),
    ]
}

/// Whom a tool has this conversation with.
fn server_of(kind: Kind, topology: &Topology) -> Host {
    match kind {
        Kind::EdaSession | Kind::EdaData | Kind::ArpEda => topology.eda,
        Kind::Recipe | Kind::ArpRecipe => topology.recipe,
        Kind::Syslog | Kind::Ntp | Kind::Dns | Kind::ArpInfrastructure => topology.infrastructure,
        Kind::Ping | Kind::ArpMes => topology.mes,
        Kind::ArpGateway => topology.gateway,
    }
}

/// When an activity of one half is due, and the client ports it takes.
struct Schedule {
    pace: Pace,
    next_ns: u64,
    end_ns: u64,
    interval_ns: u64,
    first_port: u16,
    ports_used: u16,
    random: SplitMix64,
}

impl Schedule {
    /// Starts within the first half of the window, so that every kind happens at least once in either half.
    fn new(
        scenario: &Scenario,
        half: u64,
        interval_s: u64,
        kind: Kind,
        random: SplitMix64,
    ) -> Self {
        let mut schedule = Self::window(scenario, half, interval_s, random);
        let is_arp = kind as u8 >= Kind::ArpMes as u8;
        let spread_ns = if is_arp {
            ARP_SPREAD_NS - SECOND_NS / 2
        } else {
            schedule.next_ns += ARP_SPREAD_NS;
            schedule.interval_ns.min(scenario.duration_ns() / 4)
        };
        schedule.next_ns += schedule.random.below(spread_ns) / 1_000 * 1_000;
        schedule
    }

    /// The half as a whole.
    fn window(scenario: &Scenario, half: u64, interval_s: u64, mut random: SplitMix64) -> Self {
        let half_ns = scenario.duration_ns() / 2;
        let start_ns = scenario.start_ns() + half * half_ns;
        let half_trip_ns = scenario.line.round_trip_us * 1_000 / 2;
        let first_port = CLIENT_PORT_FIRST
            + half as u16 * CLIENT_PORTS_PER_HALF
            + random.below(u64::from(CLIENT_PORTS_PER_HALF)) as u16;
        Self {
            pace: Pace { half_trip_ns: half_trip_ns / 1_000 * 1_000, ..Pace::local(start_ns) },
            next_ns: start_ns,
            end_ns: start_ns + half_ns - QUIET_NS,
            interval_ns: interval_s * SECOND_NS,
            first_port,
            ports_used: 0,
            random,
        }
    }

    /// The pace of the conversation that is due, and moves on by the interval with a jitter of a hundredth; `None` at
    /// the end of the half.
    fn due(&mut self) -> Option<Pace> {
        if self.next_ns >= self.end_ns {
            return None;
        }
        let pace = self.pace.starting(self.next_ns);
        let jitter_ns = self.random.below(self.interval_ns / 100) / 1_000 * 1_000;
        self.next_ns += self.interval_ns + jitter_ns;
        Some(pace)
    }

    /// The next client port of this half; after 8192 of them the first one again.
    fn client_port(&mut self) -> u16 {
        let half_first =
            self.first_port - (self.first_port - CLIENT_PORT_FIRST) % CLIENT_PORTS_PER_HALF;
        let offset = (self.first_port - half_first + self.ports_used) % CLIENT_PORTS_PER_HALF;
        self.ports_used = (self.ports_used + 1) % CLIENT_PORTS_PER_HALF;
        half_first + offset
    }
}

/// A tool and whom it talks with.
struct Ends {
    tool_number: usize,
    tool: Host,
    server: Host,
}

/// A conversation that comes again and again.
struct Recurring {
    schedule: Schedule,
    ends: Ends,
    kind: Kind,
    eda_bytes: usize,
    recipe_bytes: usize,
    count: u64,
}

impl Activity for Recurring {
    fn next_batch(&mut self) -> Result<Option<Batch>, ConversationError> {
        let Some(pace) = self.schedule.due() else {
            return Ok(None);
        };
        self.count += 1;
        let (class, frames) = self.conversation(pace)?;
        // One that would reach into the quiet time before the next half is left out, and all after it.
        if frames.last().is_none_or(|last| last.time_ns >= self.schedule.end_ns) {
            return Ok(None);
        }
        let label = Label::Benign(class);
        // Bounds the delay between conversations of one activity: the next never starts before this one's end.
        if let Some(last) = frames.last() {
            self.schedule.next_ns = self.schedule.next_ns.max(last.time_ns + 1_000);
        }
        Ok(Some(Batch { label, frames }))
    }
}

impl Recurring {
    /// The frames of one conversation.
    fn conversation(
        &mut self,
        pace: Pace,
    ) -> Result<(BenignClass, Vec<TimedFrame>), ConversationError> {
        let (tool, server) = (self.ends.tool, self.ends.server);
        match self.kind {
            Kind::EdaSession => self.http(pace, 80, "SessionPing", 200),
            Kind::EdaData => self.http(pace, 8080, "GetObjectData", self.eda_bytes),
            Kind::Recipe => self.recipe(pace),
            Kind::Syslog | Kind::Ntp | Kind::Dns => self.datagram(pace),
            Kind::Ping => {
                let identifier = self.schedule.client_port();
                let frames = icmp_echo(pace, &server, &tool, identifier, 1, &payload::ping())?;
                Ok((BenignClass::Ping, frames))
            }
            Kind::ArpMes | Kind::ArpEda | Kind::ArpGateway => {
                Ok((BenignClass::Arp, arp_resolve(pace, &server, &tool)?))
            }
            Kind::ArpRecipe | Kind::ArpInfrastructure => {
                Ok((BenignClass::Arp, arp_resolve(pace, &tool, &server)?))
            }
        }
    }

    /// The collector asks the tool.
    fn http(
        &mut self,
        pace: Pace,
        port: u16,
        service: &str,
        bytes: usize,
    ) -> Result<(BenignClass, Vec<TimedFrame>), ConversationError> {
        let client_port = self.schedule.client_port();
        let mut session =
            TcpSession::open(pace, &self.ends.server, &self.ends.tool, client_port, port)?;
        let response = payload::http_response(&mut self.schedule.random, bytes);
        session.send(Direction::ToServer, &payload::http_request(service))?;
        session.send(Direction::ToClient, &response)?;
        session.close(Direction::ToClient)?;
        Ok((BenignClass::Eda, session.take_frames()))
    }

    /// The tool reads a recipe.
    fn recipe(&mut self, pace: Pace) -> Result<(BenignClass, Vec<TimedFrame>), ConversationError> {
        let client_port = self.schedule.client_port();
        let mut session =
            TcpSession::open(pace, &self.ends.tool, &self.ends.server, client_port, 445)?;
        let random = &mut self.schedule.random;
        for (direction, bytes) in [
            (Direction::ToServer, 180),
            (Direction::ToClient, 220),
            (Direction::ToServer, 120),
            (Direction::ToClient, self.recipe_bytes),
        ] {
            session.send(direction, &payload::smb_encrypted(random, bytes))?;
        }
        session.close(Direction::ToServer)?;
        Ok((BenignClass::Recipe, session.take_frames()))
    }

    /// The tool asks or tells an infrastructure service.
    fn datagram(
        &mut self,
        pace: Pace,
    ) -> Result<(BenignClass, Vec<TimedFrame>), ConversationError> {
        let client_port = self.schedule.client_port();
        let (class, port, request, answer) = match self.kind {
            Kind::Ntp => {
                let answer = payload::ntp(4, pace.start_ns);
                (BenignClass::Ntp, 123, payload::ntp(3, pace.start_ns), Some(answer))
            }
            Kind::Dns => {
                let identifier = self.schedule.random.next_u64() as u16;
                let (request, answer) = payload::dns(identifier, "recipe", [10, 10, 2, 30]);
                (BenignClass::Dns, 53, request, Some(answer))
            }
            _ => {
                let line = payload::syslog(self.ends.tool_number, self.count);
                (BenignClass::Syslog, 514, line, None)
            }
        };
        let frames = udp_exchange(
            pace,
            &self.ends.tool,
            &self.ends.server,
            client_port,
            port,
            &request,
            answer.as_deref(),
        )?;
        Ok((class, frames))
    }
}

/// The HSMS connection of one half: MES connects to the passive tool, selects, tests the link, takes reports,
/// separates.
struct Hsms {
    schedule: Schedule,
    mes: Host,
    tool: Host,
    report_interval_ns: u64,
    next_report_ns: u64,
    report_bytes: usize,
    session: Option<TcpSession>,
    system: u32,
    is_over: bool,
}

impl Hsms {
    fn new(scenario: &Scenario, half: u64, tool: &Host, mes: &Host, random: SplitMix64) -> Self {
        let traffic = &scenario.traffic;
        let mut schedule = Schedule::window(scenario, half, traffic.linktest_s, random);
        schedule.next_ns += ARP_SPREAD_NS + schedule.random.below(SECOND_NS) / 1_000 * 1_000;
        let report_interval_ns = traffic.report_s * SECOND_NS;
        let first_report_ns = report_interval_ns.min(scenario.duration_ns() / 4);
        Self {
            next_report_ns: schedule.next_ns + first_report_ns,
            schedule,
            mes: *mes,
            tool: *tool,
            report_interval_ns,
            report_bytes: traffic.report_bytes as usize,
            session: None,
            system: 0,
            is_over: false,
        }
    }

    /// MES connects and selects.
    fn connect(&mut self, pace: Pace) -> Result<TcpSession, ConversationError> {
        let client_port = self.schedule.client_port();
        let mut session = TcpSession::open(pace, &self.mes, &self.tool, client_port, 5000)?;
        let request = payload::hsms_control(HsmsControl::SelectRequest, self.system);
        let response = payload::hsms_control(HsmsControl::SelectResponse, self.system);
        session.send(Direction::ToServer, &request)?;
        session.send(Direction::ToClient, &response)?;
        Ok(session)
    }

    /// What is due next on the open connection: a report or a linktest, or the end.
    fn converse(&mut self, session: &mut TcpSession) -> Result<(), ConversationError> {
        self.system += 1;
        if self.next_report_ns <= self.schedule.next_ns
            && self.next_report_ns < self.last_start_ns()
        {
            session.wait_until(self.next_report_ns);
            self.next_report_ns += self.report_interval_ns;
            let text = payload::secs_item(&mut self.schedule.random, self.report_bytes);
            session.send(Direction::ToClient, &payload::hsms_data(6, 11, self.system, &text))?;
            let answer = payload::hsms_data(6, 12, self.system, &[0x21, 1, 0]);
            return session.send(Direction::ToServer, &answer);
        }
        if self.schedule.next_ns < self.last_start_ns()
            && let Some(pace) = self.schedule.due()
        {
            session.wait_until(pace.start_ns);
            let request = payload::hsms_control(HsmsControl::LinktestRequest, self.system);
            let response = payload::hsms_control(HsmsControl::LinktestResponse, self.system);
            session.send(Direction::ToServer, &request)?;
            return session.send(Direction::ToClient, &response);
        }
        self.is_over = true;
        session.wait_until(self.last_start_ns());
        let separate = payload::hsms_control(HsmsControl::SeparateRequest, self.system);
        session.send(Direction::ToServer, &separate)?;
        session.close(Direction::ToServer)
    }

    /// Nothing but the separation starts from here on, so that it ends before the half does.
    fn last_start_ns(&self) -> u64 {
        self.schedule.end_ns - 5 * SECOND_NS
    }
}

impl Activity for Hsms {
    fn next_batch(&mut self) -> Result<Option<Batch>, ConversationError> {
        if self.is_over {
            return Ok(None);
        }
        let mut session = match self.session.take() {
            Some(mut session) => {
                self.converse(&mut session)?;
                session
            }
            None => match self.schedule.due() {
                Some(pace) => self.connect(pace)?,
                None => return Ok(None),
            },
        };
        let frames = session.take_frames();
        self.session = Some(session);
        Ok(Some(Batch { label: Label::Benign(BenignClass::Hsms), frames }))
    }
}

//! Reading `[outward.*]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Document;
use crate::findings::Findings;
use crate::keys::outward::{FILE, IPFIX, METRICS, SYSLOG};
use crate::scope::Scope;
use crate::settings::{
    EventChoice, EventFileSettings, IpfixSettings, OutwardSettings, SyslogSettings,
};

impl<'text> Document<'_, 'text> {
    pub(super) fn read_outward(&self, findings: &mut Findings<'text>) -> OutwardSettings {
        OutwardSettings {
            metrics: self.scope(&METRICS, findings).listen("listen"),
            file: read_file(&mut self.scope(&FILE, findings)),
            syslog: read_syslog(&mut self.scope(&SYSLOG, findings)),
            ipfix: read_ipfix(&mut self.scope(&IPFIX, findings)),
        }
    }
}

fn read_file(scope: &mut Scope<'_, '_>) -> Option<EventFileSettings> {
    let (written, _) = scope.text_at(scope.schema.key("path"));
    let path = given(scope.path("path"));
    let settings = EventFileSettings {
        path: path.clone().filter(|_| written != "-"),
        bytes_max: scope.integer::<u64>("max_mib") << 20,
        files_kept: scope.integer("files_kept"),
        events: read_events(scope),
        spool_events: scope.integer("spool_events"),
    };
    path.map(|_| settings)
}

fn read_syslog(scope: &mut Scope<'_, '_>) -> SyslogSettings {
    SyslogSettings {
        targets: scope.targets("targets"),
        cef: scope.choice("format") == "cef",
        events: read_events(scope),
        spool_events: scope.integer("spool_events"),
        ca_file: given(scope.path("ca_file")),
        certificate_file: given(scope.path("certificate_file")),
        key_file: given(scope.path("key_file")),
    }
}

fn read_ipfix(scope: &mut Scope<'_, '_>) -> IpfixSettings {
    IpfixSettings {
        targets: scope.targets("targets"),
        domain: scope.integer("domain"),
        template_interval: Duration::from_secs(scope.integer("template_s")),
        spool_events: scope.integer("spool_events"),
    }
}

fn read_events(scope: &mut Scope<'_, '_>) -> EventChoice {
    let chosen = scope.choices("events");
    let has = |word: &str| chosen.iter().any(|event| event == word);
    EventChoice {
        started: has("started"),
        ended: has("ended"),
        denied: has("denied"),
        alarm: has("alarm"),
    }
}

/// `None` for an empty path.
fn given(path: PathBuf) -> Option<PathBuf> {
    (path != Path::new("")).then_some(path)
}

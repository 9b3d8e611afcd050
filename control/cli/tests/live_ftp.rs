//! FTP between real hosts, vsftpd and curl, through the real processes: with the helper every way of fetching works, and without it each
//! is blocked where it opens its data connection.
//!
//! Needs root; skipped, with a printed line, without.

mod appliance;
mod hosts;

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use appliance::{PATIENCE, Site, wait_until};
use hosts::Network;
use hosts::ftp::{self, CONTENT, How};
use loadlock_api::Side;

/// Not a test: what this binary does when a host runs it as its server or client.
#[test]
fn role() {
    hosts::play_role();
}

fn dropped(site: &Site, port: &str, reason: &str) -> u64 {
    let drops = site.ask(&["drops"]).expect("control answers");
    let counts = drops.as_array().unwrap().iter();
    let here = counts.filter(|count| count["port"] == port && count["reason"] == reason);
    here.map(|count| count["dropped_packets"].as_u64().unwrap()).sum()
}

fn rules(site: &Site) -> Vec<String> {
    let rules = site.ask(&["rules", "list"]).expect("control answers");
    let services = rules["items"].as_array().unwrap().iter();
    services.map(|rule| rule["service"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ftp_works_with_the_helper_and_is_blocked_without() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: network namespaces need root");
        return;
    }
    for helpers in ["\"ftp\"", ""] {
        let Some(site) = Site::open() else { return };
        let mut network = Network::new();
        let port = |side: Side| {
            format!(
                "[[port]]\nname = \"{}\"\ndevice = \"net_af_packet\"\noptions = {{ iface = \"{}\" }}\n",
                side.name(),
                network.port(side)
            )
        };
        let base = site.base("", "").replace("[flows]\n", "[flows]\nmidstream_grace_s = 0\n");
        let segment = format!(
            "[[segment]]\nname = \"hosts\"\nside_a = \"a\"\nside_b = \"b\"\nhelpers = [{helpers}]\n"
        );
        site.configure(&format!("{base}{}{}{segment}", port(Side::A), port(Side::B)));
        let mut run = site.run();
        site.wait_until_running();
        let [client, server] = [network.join(Side::A, 1), network.join(Side::B, 1)];
        let _serving = ftp::serve(&server, &site.path("served"));
        let addresses = [server.ipv4.to_string(), format!("[{}]", server.ipv6)];
        for address in &addresses {
            let size =
                ftp::fetch(&client, address, How::Size, PATIENCE).expect("the control connection");
            assert!(size.contains("Content-Length: 20"), "{size}");
        }
        wait_until("the rules for the control connections", PATIENCE, || {
            rules(&site).iter().filter(|service| *service == "tcp/21").count() == 2
        });
        site.set_mode("hosts", "enforce");
        let learned = rules(&site);
        // What is blocked is silent; two SYNs fit in.
        let patience = if helpers.is_empty() { Duration::from_secs(2) } else { PATIENCE };
        let ways = [
            (How::Passive, &addresses[0], "a"),
            (How::ExtendedPassive, &addresses[0], "a"),
            (How::ExtendedPassive, &addresses[1], "a"),
            (How::Active, &addresses[0], "b"),
            (How::ExtendedActive, &addresses[1], "b"),
        ];
        for (how, address, opens) in ways {
            let before = dropped(&site, opens, "no_rule");
            let fetched = ftp::fetch(&client, address, how, patience);
            let more = dropped(&site, opens, "no_rule") - before;
            if helpers.is_empty() {
                assert!(
                    fetched.is_err() && more > 0,
                    "{how:?} from {address}: {fetched:?}, {more} dropped"
                );
            } else {
                assert_eq!(
                    fetched.as_deref(),
                    Ok(CONTENT),
                    "{how:?} from {address}, {more} dropped"
                );
            }
        }
        assert_eq!(rules(&site), learned, "no rule for a negotiated port");
        assert!(run.stop().success(), "{}", run.log());
    }
}

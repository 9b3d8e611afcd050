use super::*;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (HEADER_BYTES + body.len()) as u16;
    let [l0, l1] = length.to_le_bytes();
    let header = [5, 0, kind, FIRST_AND_LAST, 0x10, 0, 0, 0, l0, l1, 0, 0, 1, 0, 0, 0];
    [&header[..], body].concat()
}

fn asking(operation: u8) -> Vec<u8> {
    message(REQUEST, &[0, 0, 0, 0, 0, 0, operation, 0, 1, 2, 3])
}

fn answering(stub: &[u8]) -> Vec<u8> {
    message(RESPONSE, &[&[0; 8][..], stub].concat())
}

fn mapped(addresses: &[([u8; 4], u16)]) -> Vec<u8> {
    mapped_in(4, addresses)
}

/// In NDR (4) or NDR64 (8).
fn mapped_in(size: usize, addresses: &[([u8; 4], u16)]) -> Vec<u8> {
    let long = |number: usize| number.to_le_bytes()[..size].to_vec();
    let short = |number: usize| number.to_le_bytes()[..4].to_vec();
    let count = addresses.len();
    // The client asked for four at most.
    let mut stub = [vec![0; 20], short(count), long(4), long(0), long(count)].concat();
    stub.extend((0..count).flat_map(|at| long(at + 3)));
    for (address, port) in addresses {
        let uuid = [&[19, 0, 0x0d][..], &[7; 18], &[2, 0, 0, 0]].concat();
        let mut tower = [&[5, 0][..], &uuid, &uuid, &[1, 0, 0x0b, 2, 0, 0, 0]].concat();
        tower.extend([1, 0, 7, 2, 0]);
        tower.extend(port.to_be_bytes());
        tower.extend([1, 0, 9, 4, 0]);
        tower.extend(address);
        stub.extend([long(tower.len()), short(tower.len()), tower].concat());
        stub.resize(stub.len().next_multiple_of(size), 0);
    }
    stub.extend([0; 4]);
    answering(&stub)
}

fn activated(bindings: &[&str]) -> Vec<u8> {
    let mut stub = vec![0x55; 33];
    for binding in bindings {
        stub.extend([7, 0]);
        stub.extend(binding.encode_utf16().flat_map(u16::to_le_bytes));
        stub.extend([0, 0]);
    }
    stub.extend([0; 6]);
    answering(&stub)
}

fn said(content: &[u8], by_client: bool) -> (Vec<Said>, End) {
    let mut all = Vec::new();
    let end = messages(content, by_client, SERVER, |said| all.push(said));
    (all, end)
}

const fn at(port: u16) -> Said {
    Said::Offers { address: Some(SERVER), port }
}

#[test]
fn towers_of_the_mapper_are_read() {
    let one = mapped(&[([10, 0, 1, 1], 49_160)]);
    assert_eq!(said(&one, false), (vec![at(49_160)], End::Here));
    for size in [4, 8] {
        let two = mapped_in(size, &[([10, 0, 1, 9], 5000), ([10, 0, 1, 1], 49_163)]);
        assert_eq!(said(&two, false).0, [at(49_163)], "lengths of {size} bytes");
    }
    let unnamed = mapped(&[([0; 4], 49_161)]);
    assert_eq!(said(&unnamed, false).0, [at(49_161)]);
    let second = mapped(&[([10, 0, 1, 2], 5000), ([10, 0, 1, 1], 49_162)]);
    assert_eq!(said(&second, false).0, [at(49_162)]);
    let elsewhere = mapped(&[([10, 0, 1, 2], 5000)]);
    assert_eq!(said(&elsewhere, false).0, [Said::Nothing]);
}

#[test]
fn bindings_of_an_activation_are_read() {
    let bindings = activated(&["FAB-OPC[49170]", "192.168.0.1[49171]", "10.0.1.1[49172]"]);
    assert_eq!(said(&bindings, false).0, [at(49_172)]);
    for none in ["10.0.1.1", "10.0.1.1[]", "10.0.1.1[65536]", "10.0.1.1[80", "10.0.1.2[80]"] {
        assert_eq!(said(&activated(&[none]), false).0, [Said::Nothing], "{none}");
    }
}

#[test]
fn questions_are_told_apart() {
    for (operation, expected) in
        [(0, Said::Asks), (3, Said::Asks), (4, Said::Asks), (2, Said::Nothing), (5, Said::Nothing)]
    {
        assert_eq!(said(&asking(operation), true), (vec![expected], End::Here));
    }
    let both = [message(11, &[0; 60]), asking(3)].concat();
    assert_eq!(said(&both, true), (vec![Said::Nothing, Said::Asks], End::Here));
    assert_eq!(said(&asking(3)[..25], true), (vec![Said::Asks], End::Later), "cut behind it");
    assert_eq!(said(&asking(3), false).0, [Said::Nothing], "a server doesn't ask");
    assert_eq!(said(&mapped(&[([10, 0, 1, 1], 5000)]), true).0, [Said::Nothing]);
}

#[test]
fn every_truncation_and_flipped_bit_is_survived() {
    for whole in [mapped(&[([10, 0, 1, 1], 49_160)]), activated(&["10.0.1.1[49172]"]), asking(3)] {
        for length in 0..whole.len() {
            let (all, end) = said(&whole[..length], false);
            assert!(length == 0 || end == End::Later, "{length} bytes end {end:?}");
            assert!(all.iter().all(|said| !matches!(said, Said::Offers { .. })), "{all:?}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            for by_client in [false, true] {
                said(&flipped, by_client);
            }
        }
    }
}

#[test]
fn no_more_than_four_messages_are_read() {
    let many = asking(2).repeat(6);
    let (all, end) = said(&many, true);
    assert_eq!((all.len(), all[4], end), (5, Said::Unread, End::Later));
}

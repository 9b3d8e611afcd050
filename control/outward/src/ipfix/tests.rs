use super::*;

#[test]
fn a_record_is_as_long_as_its_template_says() {
    for (template, client, server) in
        [(&IPV4, "10.0.0.1", "10.0.0.2"), (&IPV6, "fd00::1", "fd00::2")]
    {
        let event = crate::item::tests::event(client, server, "tcp/5000");
        let record = Record::of(&event).expect("it is IP");
        assert_eq!(record.template().id, template.id);
        let bytes: usize = template.elements.iter().map(|element| usize::from(element.bytes)).sum();
        assert_eq!(record.encode().len(), bytes);
    }
}

#[test]
fn what_is_no_ip_conversation_has_no_record() {
    for (client, server, service) in [
        ("02:00:00:00:00:01", "02:00:00:00:00:02", "ether/0x88cc"),
        ("10.0.0.1", "fd00::1", "tcp/1"),
        ("10.0.0.1", "10.0.0.2", "nonsense"),
    ] {
        assert_eq!(Record::of(&crate::item::tests::event(client, server, service)), None);
    }
}

#[test]
fn messages_fit_into_a_frame_and_hold_one_template_each() {
    let item = |v6: bool| {
        let (client, server) = if v6 { ("fd00::1", "fd00::2") } else { ("10.0.0.1", "10.0.0.2") };
        Item::Event(std::sync::Arc::new(crate::item::tests::event(client, server, "udp/53")))
    };
    let lost = Item::Lost { time: now(), count: 1 };
    let mut items = vec![lost, item(false), item(true)];
    items.extend((0..60).map(|_| item(false)));
    let mut sizes = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let group = Group::of(&items[at..]);
        let message = set(group.template.expect("a record").id, &group.records);
        assert!(HEADER_BYTES + message.len() <= MESSAGE_BYTES_MAX);
        sizes.push(group.records.len());
        at += group.items;
    }
    assert_eq!((sizes[0], sizes[1], sizes.iter().sum::<usize>()), (1, 1, 62));
}

//! Answers survive, in their order.

use loadlock_store::{NewAnswer, Store};

#[test]
fn answers_are_there_again_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let answer = |content: &str| NewAnswer {
        created_ns: 7,
        author: "ada".to_owned(),
        reason: "work order 12".to_owned(),
        content: content.to_owned(),
    };
    {
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.append_answer(&answer("one")).unwrap(), 1);
        assert_eq!(store.append_answer(&answer("two")).unwrap(), 2);
    }
    let store = Store::open(&path).unwrap();
    let stored: Vec<_> = store
        .answers()
        .unwrap()
        .into_iter()
        .map(|stored| (stored.number, stored.content))
        .collect();
    assert_eq!(stored, [(1, answer("one")), (2, answer("two"))]);
}

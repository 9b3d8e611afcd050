//! Questions, answers, readiness and windows over a real socket.

mod fake;

use fake::Served;
use loadlock_api::*;

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path().join("run/control.sock"));
    (folder, served)
}

fn refused(error: ClientError) -> (u16, ErrorCode) {
    match error {
        ClientError::Refused { status, body } => (status, body.code),
        other => panic!("{other}"),
    }
}

#[test]
fn a_question_is_listed_and_answered() {
    let (_folder, served) = served();
    let client = served.client();
    assert_eq!(client.questions(9).unwrap().items, [fake::question()]);
    let body = AnswerBody { approve: true, reason: "work order 12".to_owned() };
    let answered = client.answer(&fake::question().id, &body).unwrap();
    assert_eq!((answered.number, answered.rules), (1, [4, 5]));
    assert_eq!(refused(client.answer("other", &body).unwrap_err()), (409, ErrorCode::Conflict));
    assert_eq!(client.answers(9).unwrap().total, 0);
    assert_eq!(client.readiness(Some("fab"), 9).unwrap().days, 9);
}

#[test]
fn an_answer_without_a_reason_is_refused() {
    let (_folder, served) = served();
    for reason in ["", "  ", &"x".repeat(REASON_BYTES_MAX + 1)] {
        let body = AnswerBody { approve: true, reason: reason.to_owned() };
        let error = served.client().answer(&fake::question().id, &body).unwrap_err();
        assert_eq!(refused(error), (400, ErrorCode::InvalidBody), "{reason}");
    }
}

#[test]
fn a_window_opens_and_closes_and_has_a_limit() {
    let (_folder, served) = served();
    let client = served.client();
    let body = WindowBody {
        segment: "fab".to_owned(),
        seconds: 3_600,
        monitor: true,
        reason: "pump".to_owned(),
    };
    let window = client.open_window(&body).unwrap();
    assert!(window.open && window.monitor && !window.author.is_empty());
    assert_eq!(client.close_window(window.number).unwrap().number, window.number);
    assert_eq!(client.windows(9).unwrap().total, 0);
    for seconds in [0, WINDOW_S_MAX + 1] {
        let error = client.open_window(&WindowBody { seconds, ..body.clone() }).unwrap_err();
        assert_eq!(refused(error), (400, ErrorCode::InvalidBody));
    }
}

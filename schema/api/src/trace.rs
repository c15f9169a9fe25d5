//! The trace of a Query, which every role finds from the object alone.

use uuid::Uuid;

/// The W3C trace context (version 00, sampled) of the object with this uid: the uid is the trace id, its first half the
/// id of the span that stands for the object's whole life. So the API's write, the queue and the status write meet in
/// one trace without anything being added to the object.
///
/// Source: <https://www.w3.org/TR/trace-context/>
pub fn traceparent(uid: Uuid) -> String {
    let trace = uid.simple().to_string();
    format!("00-{trace}-{}-01", &trace[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uid_is_the_trace() {
        let uid = Uuid::parse_str("0af76519-16cd-43dd-8448-eb211c80319c").unwrap();
        assert_eq!(
            traceparent(uid),
            "00-0af7651916cd43dd8448eb211c80319c-0af7651916cd43dd-01"
        );
    }
}

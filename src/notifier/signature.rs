//! Signatures as Standard Webhooks 1.0 have them: HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::Secret;

/// The value of `webhook-signature`: one signature for each key. `None` without keys.
pub(super) fn signatures(keys: &[Secret], id: &str, seconds: u64, body: &[u8]) -> Option<String> {
    let content = [format!("{id}.{seconds}.").as_bytes(), body].concat();
    let signed: Vec<String> = keys.iter().filter_map(|it| signature(it, &content)).collect();
    (!signed.is_empty()).then(|| signed.join(" "))
}

fn signature(key: &Secret, content: &[u8]) -> Option<String> {
    // The file was refused if it is anything else.
    let digits = key.reveal().strip_prefix("whsec_")?;
    let key = STANDARD.decode(digits).ok()?;
    let tag = sign(&Key::new(HMAC_SHA256, &key), content);
    Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the reference implementations of the specification share.
    #[test]
    fn published_vector() {
        let key = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = |keys: &[Secret]| {
            signatures(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed(std::slice::from_ref(&key)).as_deref(), Some(expected));
        // While receivers change over, both keys sign.
        let other = Secret::from("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let both = signed(&[other, key]).unwrap();
        let (first, second) = both.split_once(' ').unwrap();
        assert!(first.starts_with("v1,") && first != expected);
        assert_eq!(second, expected);
        assert_eq!(signed(&[]), None);
    }
}

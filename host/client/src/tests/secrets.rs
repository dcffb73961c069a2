use serde_json::json;
use zeroize::Zeroizing;

use super::{Answer, Server};
use crate::InUse;

fn secret(revision: u64) -> serde_json::Value {
    json!({"name": "token", "revision": revision, "created_at_ms": 1, "changed_at_ms": 2})
}

#[tokio::test]
async fn a_value_travels_as_bytes_in_the_body_and_nowhere_else() {
    let server = Server::scripted([Answer::Lost, Answer::Json(200, secret(3))]).await;
    let value = Zeroizing::new(b"canary\n".to_vec());
    let set = server.client().set_secret("token", value).await.unwrap();
    assert_eq!((set.revision.0, set.used_by), (3, None));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    for one in &asked {
        assert_eq!(one.line, "PUT /api/v1/secrets/token");
        assert_eq!(one.body, "canary\n");
        assert_eq!(
            one.content_type.as_deref(),
            Some("application/octet-stream")
        );
        assert!(one.key.is_some() && one.key == asked[0].key);
    }
}

#[tokio::test]
async fn all_secrets_are_listed_with_their_users() {
    let server = Server::start(|asked, _| {
        let next = (!asked.line.contains("cursor=")).then_some("token");
        let mut secret = secret(1);
        secret["used_by"] = json!(["web"]);
        Answer::Json(200, json!({"items": [secret], "next": next}))
    })
    .await;
    let all = server.client().secrets().await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].used_by.as_deref(), Some(&["web".to_owned()][..]));
    assert_eq!(
        server.asked()[1].line,
        "GET /api/v1/secrets?limit=200&cursor=token"
    );
}

#[tokio::test]
async fn force_is_asked_for_by_name() {
    let answer = || Answer::Json(200, secret(1));
    let server = Server::scripted([answer(), answer()]).await;
    let client = server.client();
    client.remove_secret("token", InUse::Keep).await.unwrap();
    client.remove_secret("token", InUse::Remove).await.unwrap();
    let lines: Vec<_> = server.asked().into_iter().map(|one| one.line).collect();
    assert_eq!(
        lines,
        [
            "DELETE /api/v1/secrets/token",
            "DELETE /api/v1/secrets/token?force=true"
        ]
    );
}

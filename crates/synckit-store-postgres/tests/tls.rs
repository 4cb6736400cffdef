//! Servers with and without TLS.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use synckit_core::{
    ErrorKind, Event, EventStore,
    store::{ReadRequest, Write},
};
use synckit_store_postgres::{PostgresConfig, PostgresStore};
use synckit_test_servers::Postgres;

/// An authority that nobody knows of.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A server that shows a certificate for this host.
async fn server_for(host: &str, authority: &CertifiedIssuer<'static, KeyPair>) -> Postgres {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, authority);
    let (certificate, key) = (certificate.unwrap().pem(), key.serialize_pem());
    let start = move || Postgres::start_with_tls(&certificate, &key);
    tokio::task::spawn_blocking(start).await.unwrap().unwrap()
}

async fn opened(server: &Postgres, parameters: &str) -> synckit_core::Result<PostgresStore> {
    let url = format!("{}?acquire_timeout_ms=5000&{parameters}", server.url());
    PostgresStore::create(PostgresConfig::from_url(&url).unwrap()).await
}

/// Whether what is written and read there goes through TLS.
async fn is_encrypted(store: &PostgresStore, server: &Postgres, id: &str) -> bool {
    use sqlx::Connection as _;
    let event = Event::new("t", "a", &1).unwrap().with_id(id).unwrap();
    assert_eq!(store.write(Write::Append(vec![event])).await.unwrap().accepted(), 1);
    assert!(!store.read(ReadRequest::default()).await.unwrap().entries.is_empty());
    let mut admin = sqlx::PgConnection::connect(&format!("{}?sslmode=disable", server.url())).await.unwrap();
    let sql = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
               WHERE a.application_name = 'synckit'";
    let encrypted = sqlx::query_scalar(sql).fetch_one(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    store.close().await.unwrap();
    encrypted
}

async fn stop(server: Postgres) {
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}

async fn refused(server: &Postgres, parameters: &str, kind: ErrorKind, said: &[&str]) {
    let error = opened(server, parameters).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{parameters}: {text}");
    for said in said {
        assert!(text.contains(said), "{parameters}: {text}");
    }
}

fn write(path: &Path, pem: &str) -> String {
    std::fs::write(path, pem).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_looked_at_as_far_as_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, another) = (authority(), authority());
    let right = write(&folder.path().join("right.pem"), &ours.pem());
    let wrong = write(&folder.path().join("wrong.pem"), &another.pem());
    let server = server_for("127.0.0.1", &ours).await;
    for (n, (parameters, encrypted)) in [
        ("sslmode=disable".to_owned(), false),
        ("sslmode=prefer".to_owned(), true),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=verify-ca&sslrootcert={right}"), true),
        (format!("sslmode=verify-full&sslrootcert={right}"), true),
    ]
    .into_iter()
    .enumerate()
    {
        let store = opened(&server, &parameters).await.unwrap();
        assert_eq!(is_encrypted(&store, &server, &format!("e-{n}")).await, encrypted, "{parameters}");
    }
    let untrusted = ["127.0.0.1:", "certificate is not trusted", "invalid peer certificate"];
    for mode in ["verify-ca", "verify-full"] {
        let with_wrong = format!("sslmode={mode}&sslrootcert={wrong}");
        refused(&server, &with_wrong, ErrorKind::Unavailable, &untrusted).await;
        refused(&server, &format!("sslmode={mode}"), ErrorKind::Unavailable, &untrusted).await;
    }
    let missing = folder.path().join("missing.pem");
    let missing = format!("sslmode=verify-full&sslrootcert={}", missing.display());
    refused(&server, &missing, ErrorKind::Invalid, &["missing.pem", "sslrootcert"]).await;
    let no_certificate = write(&folder.path().join("letter.txt"), "dear");
    let no_certificate = format!("sslmode=verify-full&sslrootcert={no_certificate}");
    refused(&server, &no_certificate, ErrorKind::Unavailable, &["not trusted"]).await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_will_do_for_verify_ca_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority();
    let root = write(&folder.path().join("root.pem"), &ours.pem());
    let server = server_for("db.example.org", &ours).await;
    let store = opened(&server, &format!("sslmode=verify-ca&sslrootcert={root}")).await.unwrap();
    assert!(is_encrypted(&store, &server, "e").await);
    let said = ["certificate is not trusted", "127.0.0.1"];
    let full = format!("sslmode=verify-full&sslrootcert={root}");
    refused(&server, &full, ErrorKind::Unavailable, &said).await;
    stop(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_taken_where_it_is_asked_for() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = ["127.0.0.1:", "no TLS with the PostgreSQL server", "does not support TLS"];
        refused(&server, &format!("sslmode={mode}"), ErrorKind::Unavailable, &said).await;
    }
    let store = opened(&server, "sslmode=prefer").await.unwrap();
    assert!(!is_encrypted(&store, &server, "e").await);
    stop(server).await;
}

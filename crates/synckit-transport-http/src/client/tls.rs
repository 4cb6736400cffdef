//! TLS by rustls, with ring as its cryptography. Nothing is installed for the whole process.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use synckit_core::{Error, Result};

/// A configuration that trusts what browsers trust, and these certificates in DER form.
pub(super) fn config(roots: Vec<Vec<u8>>) -> Result<ClientConfig> {
    let invalid = |what: &str| Error::invalid("configure transport", what);
    let mut store = RootCertStore::empty();
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for der in roots {
        store
            .add(CertificateDer::from(der))
            .map_err(|e| invalid("a root certificate cannot be used").with_source(e))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| invalid("TLS cannot be set up").with_source(e))?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

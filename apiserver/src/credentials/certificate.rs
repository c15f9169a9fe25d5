//! The server's certificate: a small authority that clients trust, and short-lived leaves that it signs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Error;

/// A leaf is valid for 90 days; a running server signs itself a new one after 30.
const LEAF_DAYS: u64 = 90;
pub(crate) const LEAF_RENEWAL: Duration = Duration::from_secs(30 * 24 * 3600);
const CA_DAYS: u64 = 3650;

/// The authority that signs the server's certificates.
pub(crate) struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority as PEM text: its key, then its certificate.
    pub(crate) fn generate() -> Result<String, Error> {
        let key = KeyPair::generate()?;
        let certificate = authority_params()?.self_signed(&key)?;
        Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
    }

    /// Reads what [`Authority::generate`] wrote.
    pub(crate) fn from_pem(text: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(text)?;
        let start = text
            .find("-----BEGIN CERTIFICATE")
            .ok_or(Error::Authority)?;
        let certificate_pem = text[start..].to_owned();
        CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| Error::Authority)?;
        Ok(Self {
            certificate_pem,
            issuer: Issuer::new(authority_params()?, key),
        })
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Signs a certificate for this machine's own names and for `bind`.
    fn issue(&self, bind: IpAddr) -> Result<Arc<CertifiedKey>, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        let mut addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        if !bind.is_unspecified() && !addresses.contains(&bind) {
            addresses.push(bind);
        }
        let addresses = addresses.into_iter().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        params
            .distinguished_name
            .push(DnType::CommonName, "ark-apiserver");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, LEAF_DAYS);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)?;
        Ok(Arc::new(CertifiedKey::new(
            vec![certificate.der().clone()],
            signer,
        )))
    }
}

/// The certificate that new connections get; replaced while the server runs.
pub(crate) struct ServingCertificate {
    bind: IpAddr,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServingCertificate {
    pub(crate) fn issue(authority: &Authority, bind: IpAddr) -> Result<Arc<Self>, Error> {
        let current = RwLock::new(authority.issue(bind)?);
        Ok(Arc::new(Self { bind, current }))
    }

    pub(crate) fn renew(&self, authority: &Authority) -> Result<(), Error> {
        let fresh = authority.issue(self.bind)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// TLS settings that offer HTTP/2 and HTTP/1.1 with this certificate.
    pub(crate) fn server_config(self: Arc<Self>) -> Result<ServerConfig, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl std::fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServingCertificate").finish_non_exhaustive()
    }
}

fn authority_params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "ark-apiserver-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, CA_DAYS);
    Ok(params)
}

/// Valid from a day ago, since clocks differ.
fn set_validity(params: &mut CertificateParams, days: u64) {
    let day = Duration::from_secs(24 * 3600);
    let epoch = date_time_ymd(1970, 1, 1);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    params.not_before = epoch + now.saturating_sub(day);
    params.not_after = epoch + now + day * u32::try_from(days).unwrap_or(u32::MAX);
}

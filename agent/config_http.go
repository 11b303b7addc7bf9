package agent

import (
	"github.com/prometheus/common/config"
)

const noSecretManager = "secret managers are not supported: use the key that ends in _file"

// httpKeys are the keys that Prometheus has wherever it is an HTTP client.
func httpKeys() []key[config.HTTPClientConfig] {
	type hc = config.HTTPClientConfig
	keys := []key[hc]{
		{"basic_auth", "", "user and password", optional(basicAuthKeys(), func(c *hc) **config.BasicAuth { return &c.BasicAuth })},
		{"authorization", "", "a token", optional(authorizationKeys(), func(c *hc) **config.Authorization { return &c.Authorization })},
		{"oauth2", "", "a token that is fetched and renewed", optional(oauth2Keys(), func(c *hc) **config.OAuth2 { return &c.OAuth2 })},
		{"bearer_token", "", "the old form of authorization.credentials", asSecret(func(c *hc) *config.Secret { return &c.BearerToken })},
		{"bearer_token_file", "", "the old form of authorization.credentials_file", asPath(func(c *hc) *string { return &c.BearerTokenFile })},
		{"tls_config", "", "certificates", nested(tlsKeys(), func(c *hc) *config.TLSConfig { return &c.TLSConfig })},
		{"follow_redirects", "true", "follow 307 and 308 to the same host; other redirects are errors of the endpoint", asBool(func(c *hc) *bool { return &c.FollowRedirects })},
		{"enable_http2", "false", "offer HTTP/2 to the receiver", asBool(func(c *hc) *bool { return &c.EnableHTTP2 })},
		{"http_headers", "", "headers whose values may be secret or in a file; one block for each name", reader[hc]{typ: "mapping of blocks", read: readHTTPHeaders}},
	}
	return append(keys, lift(proxyKeys(), func(c *hc) *config.ProxyConfig { return &c.ProxyConfig })...)
}

func proxyKeys() []key[config.ProxyConfig] {
	type pc = config.ProxyConfig
	return []key[pc]{
		{"proxy_url", "", "the proxy to use", reader[pc]{typ: "http, https or socks5 URL", read: readProxyURL}},
		{"no_proxy", "", "hosts, addresses and networks that need no proxy, separated by commas", asText(func(c *pc) *string { return &c.NoProxy })},
		{"proxy_from_environment", "false", "take the proxy from HTTP_PROXY, HTTPS_PROXY and NO_PROXY", asBool(func(c *pc) *bool { return &c.ProxyFromEnvironment })},
		{"proxy_connect_header", "", "headers for the proxy itself", reader[pc]{typ: "mapping of lists of secrets", read: readProxyHeader}},
	}
}

func basicAuthKeys() []key[config.BasicAuth] {
	type ba = config.BasicAuth
	return []key[ba]{
		{"username", "", "the user", asExpanded(func(c *ba) *string { return &c.Username })},
		{"username_file", "", "read for every request", asPath(func(c *ba) *string { return &c.UsernameFile })},
		{"username_ref", "", noSecretManager, rejected[ba]()},
		{"password", "", "better in password_file", asSecret(func(c *ba) *config.Secret { return &c.Password })},
		{"password_file", "", "read for every request", asPath(func(c *ba) *string { return &c.PasswordFile })},
		{"password_ref", "", noSecretManager, rejected[ba]()},
	}
}

func authorizationKeys() []key[config.Authorization] {
	type au = config.Authorization
	return []key[au]{
		{"type", "Bearer", "the scheme", reader[au]{typ: "string, not Basic", read: readAuthType}},
		{"credentials", "", "the token; better in credentials_file", asSecret(func(c *au) *config.Secret { return &c.Credentials })},
		{"credentials_file", "", "read for every request", asPath(func(c *au) *string { return &c.CredentialsFile })},
		{"credentials_ref", "", noSecretManager, rejected[au]()},
	}
}

func oauth2Keys() []key[config.OAuth2] {
	type oa = config.OAuth2
	keys := []key[oa]{
		{"client_id", "", "required", asText(func(c *oa) *string { return &c.ClientID })},
		{"client_secret", "", "better in client_secret_file", asSecret(func(c *oa) *config.Secret { return &c.ClientSecret })},
		{"client_secret_file", "", "read for every token", asPath(func(c *oa) *string { return &c.ClientSecretFile })},
		{"client_secret_ref", "", noSecretManager, rejected[oa]()},
		{"token_url", "", "where tokens are fetched; required", reader[oa]{typ: "http or https URL", read: readTokenURL}},
		{"scopes", "", "what the token is asked for", asList("strings", func(c *oa) *[]string { return &c.Scopes }, value.text)},
		{"endpoint_params", "", "added to the request for a token", reader[oa]{typ: "mapping of strings", read: readEndpointParams}},
		{"grant_type", "client_credentials", "how the token is asked for", asChoice(func(c *oa, s string) { c.GrantType = s }, word{"client_credentials", ""}, word{jwtBearer, ""})},
		{"client_certificate_key_id", "", "for " + jwtBearer, asText(func(c *oa) *string { return &c.ClientCertificateKeyID })},
		{"client_certificate_key", "", "for " + jwtBearer, asSecret(func(c *oa) *config.Secret { return &c.ClientCertificateKey })},
		{"client_certificate_key_file", "", "for " + jwtBearer, asPath(func(c *oa) *string { return &c.ClientCertificateKeyFile })},
		{"client_certificate_key_ref", "", noSecretManager, rejected[oa]()},
		{"signature_algorithm", "RS256", "for " + jwtBearer, asChoice(func(c *oa, s string) { c.SignatureAlgorithm = s }, word{"RS256", ""}, word{"RS384", ""}, word{"RS512", ""})},
		{"iss", "", "for " + jwtBearer + "; by default client_id", asText(func(c *oa) *string { return &c.Iss })},
		{"audience", "", "for " + jwtBearer + "; by default token_url", asText(func(c *oa) *string { return &c.Audience })},
		{"claims", "", "for " + jwtBearer, reader[oa]{typ: "mapping", read: readClaims}},
		{"tls_config", "", "certificates for token_url", nested(tlsKeys(), func(c *oa) *config.TLSConfig { return &c.TLSConfig })},
	}
	return append(keys, lift(proxyKeys(), func(c *oa) *config.ProxyConfig { return &c.ProxyConfig })...)
}

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523

func tlsKeys() []key[config.TLSConfig] {
	type tc = config.TLSConfig
	return []key[tc]{
		{"ca", "", "certificates to trust, as PEM text", asText(func(c *tc) *string { return &c.CA })},
		{"ca_file", "", "certificates to trust; by default the system's", asPath(func(c *tc) *string { return &c.CAFile })},
		{"ca_ref", "", noSecretManager, rejected[tc]()},
		{"cert", "", "the client's certificate, as PEM text", asText(func(c *tc) *string { return &c.Cert })},
		{"cert_file", "", "the client's certificate", asPath(func(c *tc) *string { return &c.CertFile })},
		{"cert_ref", "", noSecretManager, rejected[tc]()},
		{"key", "", "the client's key, as PEM text", asSecret(func(c *tc) *config.Secret { return &c.Key })},
		{"key_file", "", "the client's key", asPath(func(c *tc) *string { return &c.KeyFile })},
		{"key_ref", "", noSecretManager, rejected[tc]()},
		{"server_name", "", "the name that the certificate must bear; by default the host of url", asText(func(c *tc) *string { return &c.ServerName })},
		{"insecure_skip_verify", "false", "do not check the certificate", asBool(func(c *tc) *bool { return &c.InsecureSkipVerify })},
		{"min_version", "TLS12", "oldest version of TLS", tlsVersion(func(c *tc) *config.TLSVersion { return &c.MinVersion })},
		{"max_version", "TLS13", "newest version of TLS", tlsVersion(func(c *tc) *config.TLSVersion { return &c.MaxVersion })},
	}
}

func headerKeys() []key[config.Header] {
	type hd = config.Header
	return []key[hd]{
		{"values", "", "values in the clear", asList("strings, expanded", func(c *hd) *[]string { return &c.Values }, value.headerText)},
		{"secrets", "", "values that are never shown", reader[hd]{typ: "list of secrets", read: func(v value, c *hd) { c.Secrets = v.secrets() }}},
		{"files", "", "read for every request", asList("paths, expanded", func(c *hd) *[]string { return &c.Files }, value.file)},
	}
}

func tlsVersion(get func(*config.TLSConfig) *config.TLSVersion) reader[config.TLSConfig] {
	return asChoice(func(c *config.TLSConfig, s string) { *get(c) = config.TLSVersions[s] },
		word{"TLS10", ""}, word{"TLS11", ""}, word{"TLS12", ""}, word{"TLS13", ""})
}

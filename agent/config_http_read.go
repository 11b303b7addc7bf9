package agent

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/config"

	"nodepush/writer"
)

func readAuthType(v value, c *config.Authorization) {
	s, ok := v.text()
	s = strings.TrimSpace(s)
	switch {
	case !ok:
	case strings.EqualFold(s, "basic"):
		v.fail("cannot be Basic: use basic_auth")
	case !headerName(s): // a token (RFC 9110, 11.1), as a field's name is
		v.fail("is not a scheme such as Bearer")
	default:
		c.Type = s
	}
}

func readTokenURL(v value, c *config.OAuth2) {
	if u, ok := v.url("http", "https"); ok {
		c.TokenURL = u.String()
	}
}

func readProxyURL(v value, c *config.ProxyConfig) {
	if u, ok := v.url("http", "https", "socks5", "socks5h"); ok {
		c.ProxyURL = config.URL{URL: u}
	}
}

// url reads a URL that is not expanded, without ever showing it.
func (v value) url(schemes ...string) (*url.URL, bool) {
	s, ok := v.text()
	if !ok {
		return nil, false
	}
	u, err := url.Parse(s)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || !validPort(u) {
		v.fail("is not a valid URL: it must begin with %s://, a host and, if need be, a port", oneOf(schemes))
		return nil, false
	}
	return u, true
}

func readProxyHeader(v value, c *config.ProxyConfig) {
	c.ProxyConnectHeader = make(config.ProxyHeader)
	for _, e := range v.entries() {
		h := v.at(e.name, e.node, e.line)
		if h.null() || !headerName(e.name) {
			v.failHere(e.line, "a key without a value, or one that is no header name (not shown, it may be part of a secret)")
			continue
		}
		c.ProxyConnectHeader[http.CanonicalHeaderKey(e.name)] = h.secrets()
	}
}

func readHTTPHeaders(v value, c *config.HTTPClientConfig) {
	c.HTTPHeaders = &config.Headers{Headers: make(map[string]config.Header)}
	for _, e := range v.entries() {
		if h, ok := v.header(e); ok {
			var header config.Header
			readBlock(h, headerKeys(), &header)
			c.HTTPHeaders.Headers[http.CanonicalHeaderKey(e.name)] = header
		}
	}
}

// headerText reads an expanded string that a header can carry.
func (v value) headerText() (string, bool) {
	s, ok := v.expanded()
	if ok && !headerValue(s) {
		v.fail("holds characters that a header cannot carry")
		return "", false
	}
	return s, ok
}

// secrets reads a list of header values that are never shown.
func (v value) secrets() []config.Secret {
	var list []config.Secret
	for _, s := range v.texts(value.text) {
		if !headerValue(s) {
			v.fail("holds characters that a header cannot carry")
			continue
		}
		list = append(list, config.Secret(s))
	}
	return list
}

func readEndpointParams(v value, c *config.OAuth2) {
	c.EndpointParams = make(map[string]string)
	for _, e := range v.entries() {
		p := value{v.p, resolve(e.node), v.path, e.line} // no name in the path: nobody knows what it is
		if p.null() {
			c.EndpointParams[e.name] = ""
		} else if s, ok := p.text(); ok {
			c.EndpointParams[e.name] = s
		}
	}
}

func readClaims(v value, c *config.OAuth2) {
	if len(v.entries()) > 0 && v.node.Decode(&c.Claims) != nil { // the error would quote values
		v.fail("must be a mapping that can be written as JSON")
	}
}

// checkHTTP reports keys of the receiver v that exclude or need each other.
func checkHTTP(v value, r *writer.Receiver) {
	v.atMostOne("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")
	checkProxy(v)
	basic := v.at("basic_auth", nil, v.line)
	basic.atMostOne("username", "username_file")
	basic.atMostOne("password", "password_file")
	v.at("authorization", nil, v.line).atMostOne("credentials", "credentials_file")
	checkTLS(v.key("tls_config"), &r.HTTP.TLSConfig)
	if !v.has("oauth2") {
		return
	}
	oauth2 := v.key("oauth2")
	for _, name := range []string{"client_id", "token_url"} {
		if !oauth2.sets(name) {
			oauth2.key(name).fail("is required")
		}
	}
	oauth2.atMostOne("client_secret", "client_secret_file")
	oauth2.atMostOne("client_certificate_key", "client_certificate_key_file")
	checkProxy(oauth2)
	checkTLS(oauth2.key("tls_config"), &r.HTTP.OAuth2.TLSConfig)
}

// headerName reports whether s is a token (RFC 9110, 5.6.2).
func headerName(s string) bool {
	odd := func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	}
	return s != "" && !strings.ContainsFunc(s, odd)
}

// headerValue reports whether s can be the value of a header (RFC 9110, 5.5).
func headerValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// atMostOne reports each of the names that the mapping v sets beside an
// earlier one.
func (v value) atMostOne(names ...string) {
	first := ""
	for _, name := range names {
		switch {
		case !v.sets(name):
		case first == "":
			first = name
		default:
			v.key(name).fail("cannot be combined with %s: at most one of %s may be set", first, oneOf(names))
		}
	}
}

func checkProxy(v value) {
	v.atMostOne("proxy_url", "proxy_from_environment")
	if v.sets("no_proxy") && !v.sets("proxy_url") {
		v.key("no_proxy").fail("has a meaning only with proxy_url")
	}
	if v.sets("proxy_connect_header") && !v.sets("proxy_url") && !v.sets("proxy_from_environment") {
		v.key("proxy_connect_header").fail("has a meaning only with proxy_url or proxy_from_environment")
	}
}

// checkTLS checks certificates that stand in the file itself. Those in files
// may come later, so that they are left to the first request.
func checkTLS(v value, c *config.TLSConfig) {
	v.atMostOne("ca", "ca_file")
	v.atMostOne("cert", "cert_file")
	v.atMostOne("key", "key_file")
	switch cert, key := v.sets("cert") || v.sets("cert_file"), v.sets("key") || v.sets("key_file"); {
	case cert && !key:
		v.fail("has a certificate without its key: key or key_file is needed")
	case key && !cert:
		v.fail("has a key without its certificate: cert or cert_file is needed")
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		v.key("ca").fail("holds no certificate in PEM form")
	}
	if c.Cert != "" && c.Key != "" {
		if _, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key)); err != nil {
			v.key("cert").fail("is not a certificate in PEM form that belongs to key")
		}
	}
	if c.MinVersion != 0 && c.MaxVersion != 0 && c.MinVersion > c.MaxVersion {
		v.key("min_version").fail("is above max_version")
	}
}

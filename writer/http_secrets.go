package writer

import (
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/config"
)

// hidden stands in for a secret.
const hidden = "<hidden>"

// secrets are the texts of a configuration that no log, error or metric may
// show. They are looked for in everything a receiver or a library says,
// since a proxy may well quote a request's headers in its error page.
type secrets []string

// minSecret is the shortest text that is hidden: replacing every "1" would
// make an error unreadable and protect nothing.
const minSecret = 4

func newSecrets(c Receiver, u *url.URL) secrets {
	var s secrets
	if u.User != nil {
		password, _ := u.User.Password()
		s = append(s, password, url.QueryEscape(password), u.User.Username())
	}
	if u.RawQuery != "" {
		s = append(s, u.RawQuery)
	}
	for _, values := range u.Query() {
		s = append(s, values...)
	}
	for _, value := range c.Headers {
		s = append(s, value)
	}
	s = append(s, httpSecrets(c.HTTP)...)
	s = slices.DeleteFunc(s, func(text string) bool { return len(text) < minSecret })
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) }) // the longest first: one may hold another
	return s
}

// httpSecrets returns the secrets that stand in the options themselves.
func httpSecrets(c config.HTTPClientConfig) []string {
	s := []string{string(c.BearerToken)}
	if c.BasicAuth != nil {
		s = append(s, string(c.BasicAuth.Password))
	}
	if c.Authorization != nil {
		s = append(s, string(c.Authorization.Credentials))
	}
	if c.OAuth2 != nil {
		s = append(s, string(c.OAuth2.ClientSecret), string(c.OAuth2.ClientCertificateKey))
	}
	if c.ProxyURL.URL != nil && c.ProxyURL.User != nil {
		password, _ := c.ProxyURL.User.Password()
		s = append(s, password)
	}
	if c.HTTPHeaders != nil {
		for _, h := range c.HTTPHeaders.Headers {
			s = append(s, h.Values...)
			for _, secret := range h.Secrets {
				s = append(s, string(secret))
			}
		}
	}
	return s
}

// hide returns text without the secrets.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	return text
}

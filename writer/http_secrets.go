package writer

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/config"
	"golang.org/x/oauth2"
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

// newSecrets returns what a configuration itself holds. What stands in files,
// and a token, is known when it is sent: see sent.
func newSecrets(c Receiver, u *url.URL) secrets {
	texts := urlSecrets(u)
	for _, value := range c.Headers {
		texts = append(texts, value)
	}
	return newForms(append(texts, httpSecrets(c.HTTP, u)...))
}

// newForms returns texts in every form that a page may show them in.
func newForms(texts []string) secrets {
	var s secrets
	for _, text := range texts {
		if text = strings.TrimSpace(text); len(text) < minSecret {
			continue
		}
		quoted := strconv.Quote(text)
		asJSON, _ := json.Marshal(text)
		s = append(s, text, url.QueryEscape(text), url.PathEscape(text), html.EscapeString(text), quoted[1:len(quoted)-1], string(asJSON[1:len(asJSON)-1]))
	}
	slices.SortFunc(s, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) // the longest first: one may hold another
	return slices.Compact(s)
}

// urlSecrets returns the user, the password and the query of a URL.
func urlSecrets(u *url.URL) []string {
	var s []string
	if u.User != nil {
		user := u.User.Username()
		password, _ := u.User.Password()
		s = append(s, user, password, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	s = append(s, u.RawQuery)
	for _, values := range u.Query() {
		s = append(s, values...)
	}
	return s
}

// httpSecrets returns the secrets that stand in the options themselves.
func httpSecrets(c config.HTTPClientConfig, to *url.URL) []string {
	s := append(proxySecrets(c.ProxyConfig, to), string(c.BearerToken))
	if c.BasicAuth != nil {
		s = append(s, string(c.BasicAuth.Password))
	}
	if c.Authorization != nil {
		s = append(s, string(c.Authorization.Credentials))
	}
	if c.OAuth2 != nil {
		s = append(s, oauthSecrets(c.OAuth2)...)
	}
	if c.HTTPHeaders != nil {
		for _, h := range c.HTTPHeaders.Headers {
			s = append(append(s, h.Values...), plain(h.Secrets)...)
		}
	}
	return s
}

func oauthSecrets(c *config.OAuth2) []string {
	s := []string{string(c.ClientSecret), string(c.ClientCertificateKey)}
	for _, value := range c.EndpointParams {
		s = append(s, value)
	}
	if u, err := url.Parse(c.TokenURL); err == nil {
		s = append(append(s, urlSecrets(u)...), proxySecrets(c.ProxyConfig, u)...)
	}
	return s
}

// proxySecrets returns the secrets of the proxy on the way to a URL, be it
// from the configuration or from the environment.
func proxySecrets(c config.ProxyConfig, to *url.URL) []string {
	var s []string
	for _, values := range c.ProxyConnectHeader {
		s = append(s, plain(values)...)
	}
	find := c.Proxy()
	if find == nil {
		return s
	}
	if u, err := find(&http.Request{URL: to}); err == nil && u != nil {
		s = append(s, urlSecrets(u)...)
	}
	return s
}

func plain(values []config.Secret) []string {
	var s []string
	for _, v := range values {
		s = append(s, string(v))
	}
	return s
}

// hide returns text without the secrets, nor the beginning of one that its
// end cuts in two.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, hidden)
	}
	for _, secret := range s {
		for n := min(len(secret)-1, len(text)); n >= minSecret; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				return text[:len(text)-n] + hidden
			}
		}
	}
	return text
}

// readable takes what may hold a secret out of an error of net/http or of
// the fetch of a token.
func (c *client) readable(err error, s secrets) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return tokenError(e)
	}
	urls := 0
	for e, ok := errors.AsType[*url.Error](err); ok; e, ok = errors.AsType[*url.Error](err) {
		if e.Timeout() {
			return fmt.Errorf("no answer within %v", c.timeout)
		}
		err = e.Err
		urls++
	}
	text := s.hide(err.Error())
	if before, _, found := strings.Cut(text, "malformed "); found { // what follows is what the other end said
		text = before + "malformed answer"
	}
	if urls > 1 { // the inner one is the token server's, and what it quotes may be from a file
		text = "cannot fetch the token: " + quotation.ReplaceAllString(text, `"..."`)
	}
	return errors.New(text)
}

// quotation is a text in quotation marks.
var quotation = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// tokenErrors are the codes that a token server may give.
// https://www.rfc-editor.org/rfc/rfc6749#section-5.2
var tokenErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
}

// tokenError says why there is no token in words that are not the server's.
func tokenError(e *oauth2.RetrieveError) error {
	text := "cannot fetch the token: the token server answered"
	if e.Response != nil {
		text += fmt.Sprintf(" %d %s", e.Response.StatusCode, http.StatusText(e.Response.StatusCode))
	}
	if slices.Contains(tokenErrors, e.ErrorCode) {
		text += ": " + e.ErrorCode
	}
	return errors.New(text)
}

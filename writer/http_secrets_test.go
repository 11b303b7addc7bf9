package writer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/config"
)

const testSecret = `hun/ter 2<&"é=2`

// leaks returns the forms of the secret that are in text.
func leaks(text string) (found []string) {
	quoted, _ := json.Marshal(testSecret)
	for _, form := range []string{
		testSecret, url.QueryEscape(testSecret), url.PathEscape(testSecret), html.EscapeString(testSecret),
		strings.Trim(string(quoted), `"`), strings.Trim(fmt.Sprintf("%q", testSecret), `"`),
		base64.StdEncoding.EncodeToString([]byte("user:" + testSecret)), "hunter22", "hun/te", "hun%2Fte",
		base64.StdEncoding.EncodeToString([]byte("user:hunter22")),
	} {
		if strings.Contains(text, form) {
			found = append(found, form)
		}
	}
	return found
}

// echo answers with all it was told, in every form that a page may use.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	user, password, _ := r.BasicAuth()
	w.WriteHeader(400)
	for name, values := range r.Header {
		quoted, _ := json.Marshal(values[0])
		fmt.Fprintf(w, "%s: %s %q %s %s\n", name, values[0], values[0], quoted, html.EscapeString(values[0]))
	}
	fmt.Fprintf(w, "%s %s %s %s\n%s\n%v\n", r.URL, user, password, url.QueryEscape(password), body, form)
}

func TestHTTPSecretsAreNeverShown(t *testing.T) {
	s := server(t, echo)
	host := s.Listener.Addr().String()
	file := filepath.Join(t.TempDir(), "secret")
	const plain = "hunter22"
	os.WriteFile(file, []byte(plain+"\n"), 0o600)
	long := filepath.Join(t.TempDir(), "long")
	os.WriteFile(long, []byte(strings.Repeat("hunter22", 200)), 0o600)
	idp := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"hunter22","token_type":"bearer"}`)
	})
	breaks := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		conn, _, _ := w.(http.Hijacker).Hijack()
		fmt.Fprintf(conn, "%s %s\r\n\r\n", r.Header.Get("Authorization"), body)
		conn.Close()
	})
	lies := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		text, _ := json.Marshal(string(body) + r.Header.Get("Authorization"))
		fmt.Fprintf(w, `{"error":%s,"error_description":%s}`, text, text)
	})
	oauth := func(token string) *config.OAuth2 {
		return &config.OAuth2{ClientID: "user", ClientSecretFile: file, TokenURL: token + "/?key=hunter22", EndpointParams: map[string]string{"password": testSecret}}
	}
	proxy, _ := url.Parse("http://user:" + url.QueryEscape(testSecret) + "@" + host)
	through := config.ProxyConfig{ProxyURL: config.URL{URL: proxy}, ProxyConnectHeader: config.ProxyHeader{"X-Key": {testSecret}}}
	type hc = config.HTTPClientConfig
	tests := []struct {
		name string
		url  string // default: the echo's
		c    hc
	}{
		{"basic auth", "", hc{BasicAuth: &config.BasicAuth{Username: "user", Password: testSecret}}},
		{"password file", "", hc{BasicAuth: &config.BasicAuth{Username: "user", PasswordFile: file}}},
		{"user in a file", "", hc{BasicAuth: &config.BasicAuth{UsernameFile: file, Password: "x"}}},
		{"url", "http://user:hunter22@" + host + "/?token=" + url.QueryEscape(testSecret), hc{}},
		{"bearer", "", hc{Authorization: &config.Authorization{Type: "Bearer", Credentials: testSecret}}},
		{"credentials file", "", hc{Authorization: &config.Authorization{Type: "Bearer", CredentialsFile: file}}},
		{"credentials longer than what is kept", "", hc{Authorization: &config.Authorization{Type: "Bearer", CredentialsFile: long}}},
		{"old bearer file", "", hc{BearerTokenFile: file}},
		{"header", "", hc{HTTPHeaders: &config.Headers{Headers: map[string]config.Header{"X-Key": {Secrets: []config.Secret{testSecret}}}}}},
		{"header file", "", hc{HTTPHeaders: &config.Headers{Headers: map[string]config.Header{"X-Key": {Files: []string{file}}}}}},
		{"fetched token", "", hc{OAuth2: oauth(idp.URL)}},
		{"token server that echoes", "", hc{OAuth2: oauth(s.URL)}},
		{"token server that echoes in fields", "", hc{OAuth2: oauth(lies.URL)}},
		{"token server that is none", "", hc{OAuth2: oauth(breaks.URL)}},
		{"no token server", "", hc{OAuth2: oauth("http://127.0.0.1:1")}},
		{"receiver that is none", breaks.URL, hc{BasicAuth: &config.BasicAuth{Username: "user", PasswordFile: file}}},
		{"proxy", "http://receiver.example/", hc{ProxyConfig: through}},
		{"tunnel", "https://receiver.example/", hc{ProxyConfig: through}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := tt.url
			if to == "" {
				to = s.URL
			}
			c := testClient(t, Receiver{URL: to, HTTP: tt.c})
			a := c.post(t.Context(), protocol1, []byte("data"), 0)
			if found := leaks(a.text + a.String()); len(found) > 0 {
				t.Errorf("the log would show %q:\n%s\n%s", found, a.String(), a.text)
			}
		})
	}
}

// A secret that the end of the kept text cuts in two is hidden as well.
func TestSecretsAtTheEnd(t *testing.T) {
	s := secrets{"hunter22"}
	for text, want := range map[string]string{
		"the key hunter22":        "the key " + hidden,
		"the key hunter2":         "the key " + hidden,
		"the key hunt":            "the key " + hidden,
		"the key hun":             "the key hun", // too short to tell
		"hunter22 and hunter22hu": hidden + " and " + hidden + "hu",
	} {
		if got := s.hide(text); got != want {
			t.Errorf("hide(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTokenError(t *testing.T) {
	for code, want := range map[string]string{
		"invalid_client":        "cannot fetch the token: the token server answered 401 Unauthorized: invalid_client",
		"invalid_client secret": "cannot fetch the token: the token server answered 401 Unauthorized",
		"":                      "cannot fetch the token: the token server answered 401 Unauthorized",
	} {
		s := server(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"error":%q,"error_description":"secret"}`, code)
		})
		c := testClient(t, Receiver{URL: s.URL, HTTP: config.HTTPClientConfig{OAuth2: &config.OAuth2{ClientID: "id", ClientSecret: "x", TokenURL: s.URL}}})
		if a := c.post(t.Context(), protocol1, nil, 0); a.verdict != tryAgain || a.String() != want {
			t.Errorf("error %q: %v, want %q", code, a, want)
		}
	}
}

// HTTP/2 tells what it sends, too.
func TestHTTPSecretsOverHTTP2(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(file, []byte("hunter22"), 0o600)
	var major int
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		major = r.ProtoMajor
		echo(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c := testClient(t, Receiver{URL: s.URL, HTTP: config.HTTPClientConfig{EnableHTTP2: true, TLSConfig: config.TLSConfig{InsecureSkipVerify: true},
		BasicAuth: &config.BasicAuth{Username: "user", PasswordFile: file}}})
	a := c.post(t.Context(), protocol1, []byte("data"), 0)
	if found := leaks(a.text + a.String()); a.code != 400 || major != 2 || len(found) > 0 {
		t.Errorf("post over HTTP/%d = %v; the log would show %q", major, a, found)
	}
}

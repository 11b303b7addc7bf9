package agent

import (
	"fmt"
	"strings"
	"testing"
)

// wantHidden fails the test if the text, or a part of it, shows in what
// LoadConfig says about the file.
func wantHidden(t *testing.T, text, secret string) {
	t.Helper()
	_, warnings, err := loadText(t, text)
	said := fmt.Sprint(warnings, err)
	if strings.Contains(said, secret) {
		t.Errorf("the secret shows.\nfile:\n%s\nsaid:\n%s", text, said)
	}
}

// In each key that may hold a secret, every kind of value must stay hidden.
func TestSecretsNeverShow(t *testing.T) {
	const secret = "hunter2"
	forms := []string{
		"hunter2", `"hunter2"`, "[hunter2]", "[[hunter2]]", "{hunter2: hunter2}", "{hunter2}", "{a: hunter2, hunter2}", "!hunter2 x",
		"!!int hunter2", "!!binary hunter2", "&hunter2 x", "*hunter2", "hunter2: hunter2", "@hunter2", "%hunter2", "'hunter2", "x, hunter2",
		"${hunter2 }", "$hunter2", "hunter2${A}", "https://hunter2:hunter2@host:port/hunter2?hunter2#hunter2", "ftp://hunter2@x/", "https://u:hunter2@host/",
		"http://host/#hunter2", "://hunter2", "{hunter2: a, hunter2: b}", "\n    hunter2: x\n    hunter2: y", "\n    - hunter2: x", "|\n  hunter2", "\"hunter2\\n\"", "\"hunter2\\x01\"",
	}
	keys := []string{
		"url: %s", "proxy_url: %s", "no_proxy: %s", "bearer_token: %s", "bearer_token_file: %s",
		"headers: %s", "headers: {X-A: %s}", "http_headers: %s", "http_headers: {X-A: %s}", "http_headers: {X-A: {values: %s}}", "http_headers: {X-A: {secrets: %s}}", "http_headers: {X-A: {files: %s}}",
		"proxy_connect_header: %s", "proxy_connect_header: {X-A: %s}", "proxy_connect_header: {X-A: [%s]}",
		"basic_auth: %s", "basic_auth: {username: %s}", "basic_auth: {password: %s}", "basic_auth: {password_file: %s}", "basic_auth: {password_ref: %s}", "basic_auth: {username: u, password: a,%s}",
		"authorization: %s", "authorization: {type: %s}", "authorization: {credentials: %s}", "authorization: {credentials_file: %s}",
		"oauth2: %s", "oauth2: {client_id: %s}", "oauth2: {client_secret: %s}", "oauth2: {token_url: %s}", "oauth2: {endpoint_params: %s}", "oauth2: {endpoint_params: {a: %s}}", "oauth2: {claims: %s}", "oauth2: {scopes: %s}", "oauth2: {client_certificate_key: %s}", "oauth2: {proxy_url: %s}",
		"tls_config: %s", "tls_config: {ca: %s}", "tls_config: {key: %s}", "tls_config: {cert: %s}", "tls_config: {key: x, cert: %s}", "tls_config: {key_file: %s}",
		"sigv4: {secret_key: %s}", "azuread: {oauth: {client_secret: %s}}", "google_iam: %s", "sigv4: %s",
	}
	for _, key := range keys {
		for _, form := range forms {
			named := strings.HasSuffix(key, "_header: %s") || strings.HasSuffix(key, "_headers: %s")
			if named && strings.Contains(form, "hunter2:") {
				continue // the name of a header, which is shown
			}
			wantHidden(t, "remote_write:\n- name: x\n  "+fmt.Sprintf(key, form)+"\n", secret)
		}
	}
}

// A password without quotes is the usual way to break the syntax.
func TestSecretsInBrokenSyntaxNeverShow(t *testing.T) {
	for _, text := range []string{
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: a: hunter2\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: *hunter2\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: `hunter2\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: \"hunter2\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: \"\\qhunter2\"\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: !<hunter2 x\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password: !x!hunter2 x\n",
		"remote_write:\n- url: http://h/\n  basic_auth:\n    password:\n  hunter2\n",
		"remote_write:\n- url: http://h/\n  basic_auth: [hunter2\n",
		"remote_write: hunter2\n", "hunter2\n", "- hunter2\n", "? hunter2\n", "{hunter2}\n",
		"a: &a {password: hunter2, self: *a}\nremote_write: [{url: http://h/, basic_auth: *a, oauth2: {claims: *a}}]\n",
		"---\na: hunter2\n---\nb: hunter2\n",
	} {
		_, _, err := loadText(t, text)
		if err == nil {
			t.Errorf("no error for\n%s", text)
		}
		wantHidden(t, text, "hunter2")
	}
}

// An environment variable is as secret as what stands in the file.
func TestExpandedSecretsNeverShow(t *testing.T) {
	for _, secret := range []string{"hunter2", "hunter2\n", "ftp://hunter2/", "://hunter2", "https://u:hunter2@h:x/"} {
		t.Setenv("NODEPUSH_TEST", secret)
		for _, key := range []string{"url", "headers: {X-A", "http_headers: {X-A: {values: [", "basic_auth: {username", "basic_auth: {password_file"} {
			end := strings.Repeat("]", strings.Count(key, "[")) + strings.Repeat("}", strings.Count(key, "{"))
			sep := ": "
			if strings.HasSuffix(key, "[") {
				sep = ""
			}
			wantHidden(t, "remote_write:\n- "+key+sep+"\"${NODEPUSH_TEST}\""+end+"\n", "hunter2")
		}
	}
}

package receiver

import (
	"net/http"
	"strconv"
)

// The Content-Type of each message. Real receivers compare them as they are
// (Thanos, for one), so a space or a capital letter is another type.
const (
	contentType1     = "application/x-protobuf"
	contentType1Long = "application/x-protobuf;proto=prometheus.WriteRequest"
	contentType2     = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

// protocol says how a body is decoded and a request answered.
type protocol int

const (
	unknown protocol = iota
	protocol1
	protocol2
)

// negotiate finds the protocol of a request and refuses what a sender must
// not send in its headers. The protocol is known, error or not, once the
// Content-Type has told it: the answer has to be of that protocol.
func (r *Receiver) negotiate(req *http.Request) (protocol, error) {
	h := req.Header
	if req.URL.Path != Path {
		return unknown, refuse(http.StatusNotFound, "no such path %q; remote write is at %s", req.URL.Path, Path)
	}
	if req.Method != http.MethodPost {
		return unknown, refuse(http.StatusMethodNotAllowed, "method %s; only POST is allowed", req.Method)
	}
	if v := h.Get("Content-Encoding"); v != "snappy" {
		return unknown, refuse(http.StatusUnsupportedMediaType, "Content-Encoding %q; only snappy is allowed", v)
	}
	p, err := r.contentType(h.Get("Content-Type"))
	if err == nil {
		err = r.checkVersion(p, h.Get("X-Prometheus-Remote-Write-Version"))
	}
	if err == nil && h.Get("User-Agent") == "" {
		err = refuse(http.StatusBadRequest, "no User-Agent; a sender must name itself")
	}
	return p, err
}

// contentType returns the protocol that a Content-Type stands for.
func (r *Receiver) contentType(v string) (protocol, error) {
	if r.options.Ignorant {
		return protocol1, nil
	}
	switch {
	case v == contentType1 || v == contentType1Long:
		return protocol1, nil
	case v == contentType2 && !r.options.Only1:
		return protocol2, nil
	}
	allowed := contentType1 + " and " + contentType1Long
	if !r.options.Only1 {
		allowed = contentType1 + ", " + contentType1Long + " and " + contentType2
	}
	return unknown, refuse(http.StatusUnsupportedMediaType, "Content-Type %q; only %s are allowed", v, allowed)
}

// checkVersion refuses a version that does not go with the message.
func (r *Receiver) checkVersion(p protocol, v string) error {
	want, name := "0.1.0", "prometheus.WriteRequest"
	if p == protocol2 {
		want, name = "2.0.0", "io.prometheus.write.v2.Request"
	}
	if v != want && !r.options.Ignorant {
		return refuse(http.StatusBadRequest, "X-Prometheus-Remote-Write-Version %q with a message %s; only %s is allowed", v, name, want)
	}
	return nil
}

// written is what an answer of protocol 2.0 says was stored of a request.
// Staleness markers are samples (or histograms) here.
type written struct{ samples, histograms, exemplars int }

// tell puts w into the headers that the specification names, section
// "Required Written Response Headers".
func (w written) tell(h http.Header) {
	h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(w.samples))
	h.Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(w.histograms))
	h.Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(w.exemplars))
}

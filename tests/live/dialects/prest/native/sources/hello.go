// The functions of prestd's documentation, and some that go wrong.

package main

import (
	"encoding/json"
	"net/http"
	"time"
)

var (
	// HTTPVars route variables for the current request
	HTTPVars map[string]string
	// URLQuery parses RawQuery and returns the corresponding values
	URLQuery map[string][]string
)

type response struct {
	HTTPVars map[string]string   `json:"http_vars"`
	URLQuery map[string][]string `json:"url_query"`
	MSG      string              `json:"msg"`
}

// GETHelloHandler answers with what it was asked.
func GETHelloHandler() (ret string) {
	resp := response{HTTPVars: HTTPVars, URLQuery: URLQuery, MSG: "Hello plugin caller!"}
	respJSON, err := json.Marshal(resp)
	if err != nil {
		return
	}
	return string(respJSON)
}

// GETHelloWithStatusHandler does so with a status.
func GETHelloWithStatusHandler() (ret string, code int) {
	return GETHelloHandler(), http.StatusAccepted
}

// GETSlowHandler reads the globals again after a while: they are still its own.
func GETSlowHandler() string {
	before := URLQuery["n"][0]
	time.Sleep(2 * time.Millisecond)
	return before + "=" + URLQuery["n"][0]
}

// GETMinusHandler is 200 in prestd.
func GETMinusHandler() (string, int) { return "minus", -1 }

// GETZeroHandler panics in prestd.
func GETZeroHandler() (string, int) { return "zero", 0 }

// GETPanicHandler panics.
func GETPanicHandler() string { return HTTPVars["x"][1:] }

// GETWrongHandler is of a type that nobody calls.
func GETWrongHandler() int { return 1 }

// POSTEchoHandler sees the whole request.
func POSTEchoHandler(request PlugmwRequest) PlugmwResponse {
	headers := map[string]any{"X-Agent": request.Headers["user-agent"], "X-Two": []string{"1", "2"}}
	return PlugmwResponse{Status: 201, Headers: headers, Body: request.Body}
}

// GETUnwritableHandler has headers that are no JSON.
func GETUnwritableHandler(PlugmwRequest) PlugmwResponse {
	return PlugmwResponse{Headers: map[string]any{"X": make(chan int)}}
}

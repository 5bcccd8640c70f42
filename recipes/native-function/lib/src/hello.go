// Functions of prestd as its documentation has them: nothing in here is plugmw's.

package main

import (
	"encoding/json"
	"net/http"
)

var (
	// HTTPVars are the variables of the route: file and func.
	HTTPVars map[string]string
	// URLQuery has the values of the query by name.
	URLQuery map[string][]string
)

// Response is what is answered.
type Response struct {
	HTTPVars map[string]string   `json:"http_vars"`
	URLQuery map[string][]string `json:"url_query"`
	MSG      string              `json:"msg"`
}

// GETHelloHandler answers GET /_PLUGIN/hello/Hello.
func GETHelloHandler() (ret string) {
	resp := Response{HTTPVars: HTTPVars, URLQuery: URLQuery, MSG: "Hello plugin caller!"}
	respJSON, err := json.Marshal(resp)
	if err != nil {
		return
	}
	ret = string(respJSON)
	return
}

// GETHelloWithStatusHandler answers with a status of its own.
func GETHelloWithStatusHandler() (ret string, code int) {
	return GETHelloHandler(), http.StatusAccepted
}

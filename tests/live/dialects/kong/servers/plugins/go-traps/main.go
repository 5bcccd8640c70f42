// A plugin that does what the request asks for in x-do.
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/Kong/go-pdk"
	"github.com/Kong/go-pdk/server"
)

type Config struct {
	Message string
	Limit   uint     `json:"limit"`
	List    []string `json:"list"`
}

func New() interface{} { return &Config{} }

func (conf *Config) Access(kong *pdk.PDK) {
	what, _ := kong.Request.GetHeader("x-do")
	switch what {
	case "panic":
		panic("in access")
	case "sleep":
		time.Sleep(time.Second)
	case "silent":
		time.Sleep(time.Minute)
	case "exit":
		kong.Response.Exit(403, []byte("no"), map[string][]string{"X-Exit": {"yes"}})
		return
	case "query":
		query, err := kong.Request.GetQuery(-1)
		kong.Response.SetHeader("X-Query", fmt.Sprint(query, err))
	case "body":
		body, err := kong.Request.GetRawBody()
		kong.Response.SetHeader("X-Body", fmt.Sprint(len(body), err))
	case "bad":
		kong.Response.SetHeader("X-Bad", "a\r\nX-Split: b")
	case "phase":
		kong.Response.GetStatus()
	case "consumer":
		consumer, err := kong.Client.GetConsumer()
		kong.Response.SetHeader("X-Consumer", fmt.Sprint(consumer.Username, err))
	case "shared":
		kong.Ctx.SetShared("k", map[string]interface{}{"a": []interface{}{1, "b", nil, true}})
		found, err := kong.Ctx.GetSharedAny("k")
		kong.Response.SetHeader("X-Shared", fmt.Sprint(found, err))
	case "echo":
		value, _ := kong.Request.GetHeader("x-value")
		kong.Response.SetHeader("X-Echo", value)
	case "big":
		kong.ServiceRequest.SetRawBody(strings.Repeat("x", 2000000))
	case "memory":
		stats, err := kong.Node.GetMemoryStats()
		dicts, vms := stats.LuaSharedDicts, stats.WorkersLuaVms
		kong.Response.SetHeader("X-Memory", fmt.Sprint(dicts, len(vms), vms[0].HttpAllocatedGc > 0, err))
	case "late":
		go func() {
			time.Sleep(100 * time.Millisecond)
			kong.Response.SetHeader("X-Late", "of another request")
		}()
	case "log":
		kong.Log.Warn("from go ", 1.5, true)
	}
	kong.Response.SetHeader("X-Message", conf.Message)
}

const Version = "2.0"
const Priority = 9

func main() { server.StartServer(New, Version, Priority) }

'use strict'

// A Kong plugin in JavaScript: it writes a line to a file for every request.
const fs = require('fs')

const files = new Map()

function open(path, reopen) {
  if (reopen && files.has(path)) {
    fs.closeSync(files.get(path))
    files.delete(path)
  }
  if (!files.has(path)) files.set(path, fs.openSync(path, 'a', 0o600))
  return files.get(path)
}

class MyPlugin {
  constructor(config) {
    this.path = config.my_file_path
    this.reopen = config.reopen
  }

  async access(kong) {
    const host = await kong.request.getHeader('host')
    await kong.service.request.setHeader('X-My-Plugin', 'javascript')
    await kong.response.setHeader('X-My-Plugin', `JavaScript says hello to ${host}`)
  }

  async log(kong) {
    const entry = await kong.log.serialize()
    fs.writeSync(open(this.path, this.reopen), entry + '\n')
  }
}

module.exports = {
  Plugin: MyPlugin,
  Name: 'my-plugin',
  Schema: [
    { my_file_path: { type: 'string', required: true } },
    { reopen: { type: 'boolean', default: false } }
  ],
  Version: '1.0.0',
  Priority: 1
}

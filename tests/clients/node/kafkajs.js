// Uses the registry with @kafkajs/confluent-schema-registry: registers, evolves, looks up, writes and reads.
// That client cannot delete, so the calls that it lacks are made directly.
//   usage: kafkajs.js ADDRESS
// Prints one line of JSON when all is as it should be, and fails otherwise.
'use strict'

const assert = require('node:assert')
const { SchemaRegistry, SchemaType } = require('@kafkajs/confluent-schema-registry')
const { FIRST, SECOND, INCOMPATIBLE, VALUES } = require('./schemas.js')

const SUBJECT = 'lsst.sal.Kafkajs.forces-value'

const avro = (schema) => ({ type: SchemaType.AVRO, schema: JSON.stringify(schema) })

async function main (host) {
  const client = () => new SchemaRegistry({ host })
  const registry = client()
  const call = async (method, path) => {
    const answer = await fetch(`${host}${path}`, { method })
    return [answer.status, await answer.json()]
  }
  const first = (await registry.register(avro(FIRST), { subject: SUBJECT, compatibility: 'BACKWARD' })).id
  assert.deepStrictEqual(await call('GET', `/config/${SUBJECT}`), [200, { compatibilityLevel: 'BACKWARD' }])
  assert.strictEqual((await client().register(avro(FIRST), { subject: SUBJECT, compatibility: 'BACKWARD' })).id, first)
  await assert.rejects(registry.register(avro(INCOMPATIBLE), { subject: SUBJECT, compatibility: 'BACKWARD' }), { status: 409 })
  const second = (await registry.register(avro(SECOND), { subject: SUBJECT, compatibility: 'BACKWARD' })).id
  assert.ok(second > first)
  assert.strictEqual(await client().getLatestSchemaId(SUBJECT), second)
  assert.strictEqual(await client().getRegistryId(SUBJECT, 1), first)
  assert.strictEqual(await client().getRegistryIdBySchema(SUBJECT, avro(FIRST)), first)

  const encoded = await client().encode(second, VALUES)
  assert.strictEqual(encoded.readUInt8(0), 0)
  assert.strictEqual(encoded.readUInt32BE(1), second)
  assert.deepStrictEqual({ ...await client().decode(encoded) }, VALUES)

  assert.deepStrictEqual(await call('DELETE', `/subjects/${SUBJECT}/versions/1`), [200, 1])
  assert.deepStrictEqual(await call('DELETE', `/subjects/${SUBJECT}`), [200, [2]])
  await assert.rejects(client().getLatestSchemaId(SUBJECT), { status: 404 })
  assert.deepStrictEqual({ ...await client().decode(encoded) }, VALUES, 'what is deleted softly is still read by id')
  console.log(JSON.stringify({ ids: [first, second] }))
}

main(process.argv[2]).catch((error) => { console.error(error); process.exit(1) })

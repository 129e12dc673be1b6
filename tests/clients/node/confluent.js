// Uses the registry with @confluentinc/schemaregistry: the client itself, and the Avro serialiser.
// Registers, evolves, looks up, deletes.
//   usage: confluent.js ADDRESS
// Prints one line of JSON when all is as it should be, and fails otherwise.
'use strict'

const assert = require('node:assert')
const { AvroDeserializer, AvroSerializer, Compatibility, SchemaRegistryClient, SerdeType } = require('@confluentinc/schemaregistry')
const { FIRST, SECOND, INCOMPATIBLE, VALUES } = require('./schemas.js')

const TOPIC = 'lsst.sal.ConfluentJs.forces'
const SUBJECT = `${TOPIC}-value`

const avro = (schema) => ({ schema: JSON.stringify(schema), schemaType: 'AVRO' })

async function main (url) {
  const fresh = () => new SchemaRegistryClient({ baseURLs: [url] })
  const client = fresh()
  const first = await client.register(SUBJECT, avro(FIRST), false)
  assert.strictEqual(await fresh().register(SUBJECT, avro(FIRST), true), first, 'the same schema keeps its id')
  const kept = await fresh().getBySubjectAndId(SUBJECT, first)
  assert.deepStrictEqual(JSON.parse(kept.schema), FIRST, 'unknown attributes are kept')
  assert.strictEqual(await client.updateCompatibility(SUBJECT, Compatibility.BACKWARD), 'BACKWARD')
  assert.strictEqual(await client.getCompatibility(SUBJECT), 'BACKWARD')
  assert.ok(await client.testSubjectCompatibility(SUBJECT, avro(SECOND)))
  assert.ok(!await client.testCompatibility(SUBJECT, 1, avro(INCOMPATIBLE)))
  await assert.rejects(client.register(SUBJECT, avro(INCOMPATIBLE), false), { status: 409 })
  const second = await client.register(SUBJECT, avro(SECOND), false)
  assert.ok(second > first)
  assert.deepStrictEqual(await client.getAllVersions(SUBJECT), [1, 2])
  const latest = await client.getLatestSchemaMetadata(SUBJECT)
  assert.deepStrictEqual([latest.id, latest.version], [second, 2])
  assert.strictEqual(await client.getId(SUBJECT, avro(FIRST), false), first)
  assert.strictEqual(await client.getVersion(SUBJECT, avro(FIRST), false, false), 1)
  assert.ok((await client.getAllSubjects()).includes(SUBJECT))

  const serializer = new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true, autoRegisterSchemas: false })
  const record = await serializer.serialize(TOPIC, VALUES)
  assert.strictEqual(record.readUInt8(0), 0)
  const read = await new AvroDeserializer(fresh(), SerdeType.VALUE, {}).deserialize(TOPIC, record)
  assert.deepStrictEqual({ ...read }, VALUES)

  assert.strictEqual(await client.deleteSubjectVersion(SUBJECT, 1, false), 1)
  assert.deepStrictEqual(await client.deleteSubject(SUBJECT, false), [2])
  assert.ok(!(await fresh().getAllSubjects()).includes(SUBJECT))
  assert.deepStrictEqual((await client.deleteSubject(SUBJECT, true)).sort(), [1, 2])
  await assert.rejects(fresh().getAllVersions(SUBJECT), { status: 404 })
  console.log(JSON.stringify({ ids: [first, second] }))
}

main(process.argv[2]).catch((error) => { console.error(error); process.exit(1) })

// Schemas that the registry's clients register, each as SAL writes it.
'use strict'

const field = (name, type, attributes) => ({ name, type, ...attributes })
const record = (...fields) => ({ type: 'record', name: 'forces', namespace: 'lsst.sal.Client', fields, description: 'Forces, äß' })

const stamp = field('private_sndStamp', 'double', { default: 0.0, description: 'Time of instance publication', units: 'second' })
const force = field('force', { type: 'array', items: 'double' }, { default: [0.0, 0.0, 0.0], description: '', units: 'N' })

module.exports = {
  FIRST: record(stamp, force),
  SECOND: record(stamp, force, field('name', 'string', { default: '', description: '', units: 'unitless' })),
  // The new field has no default, so it cannot read what was written before.
  INCOMPATIBLE: record(stamp, force, field('serial', 'string', { description: '', units: 'unitless' })),
  VALUES: { private_sndStamp: 1.5, force: [1.0, -2.5, 3.25], name: 'äß€' }
}

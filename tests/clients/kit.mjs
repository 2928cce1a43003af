// One request of fhir-kit-client. Standard input says which: {base, token, read: {...}} or {base, token, search: {...}},
// as the client's own methods take it. Prints {found}, of a search the resources of all pages; or {refused}, a status.
// {base, discover: true} finds where people are asked, and the CapabilityStatement.

import { text } from 'node:stream/consumers';
import { Client } from 'fhir-kit-client';

const { base, token, read, search, discover } = JSON.parse(await text(process.stdin));
const client = new Client({ baseUrl: base, bearerToken: token });

try {
  console.log(JSON.stringify({ found: await asked() }));
} catch (error) {
  if (!error.response) {
    throw error;
  }
  console.log(JSON.stringify({ refused: error.response.status }));
}

async function asked() {
  if (discover) {
    return { auth: await client.smartAuthMetadata(), statement: await client.capabilityStatement() };
  }
  return read ? client.read(read) : everything(search);
}

async function everything(search) {
  const found = [];
  for (let bundle = await client.search(search); bundle; bundle = await client.nextPage({ bundle })) {
    found.push(...(bundle.entry ?? []).map((entry) => entry.resource));
  }
  return found;
}

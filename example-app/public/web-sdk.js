// Runs Adobe's Web SDK. Its settings are attributes of this script's element: the page allows no inline scripts.
const { orgId, datastreamId, edgeDomain } = document.currentScript.dataset;
const outcome = document.querySelector('output');

const SAID = {
  in: 'You agreed. Adobe’s Web SDK has set its cookies, and the next page shows your segments.',
  out: 'You refused. No call is made about you on the next page.',
};

// Until the SDK has loaded, calls wait in a queue; these are the names by which it finds them.
window.__alloyNS = ['alloy'];
window.alloy = (...call) => new Promise((resolve, reject) => window.alloy.q.push([resolve, reject, call]));
window.alloy.q = [];

async function start() {
  await window.alloy('configure', {
    orgId,
    datastreamId,
    edgeDomain,
    defaultConsent: 'pending',
    // Its own cookies are enough: no AMCV beside them, nothing from demdex.net, no events for clicks.
    idMigrationEnabled: false,
    thirdPartyCookiesEnabled: false,
    clickCollectionEnabled: false,
  });
  // The SDK keeps it back until the visitor agrees.
  const pageView = window.alloy('sendEvent', { xdm: { eventType: 'web.webpagedetails.pageViews' } });
  pageView.catch(fail);
  for (const button of document.querySelectorAll('button[data-consent]')) {
    button.addEventListener('click', () => choose(button.dataset.consent, pageView).catch(fail));
    button.disabled = false;
  }
  outcome.textContent = 'Adobe’s Web SDK is ready, and sends nothing before you choose.';
}

async function choose(general, pageView) {
  await window.alloy('setConsent', { consent: [{ standard: 'Adobe', version: '1.0', value: { general } }] });
  if (general === 'in') await pageView;
  outcome.textContent = SAID[general];
}

function fail({ message }) {
  outcome.textContent = `That did not work. ${message}`;
}

start().catch(fail);
